// Uses an engine, and does not close it: the process must end all the same.
//
//   node test/engine/exit-worker.js THREADS
import { createEngine, scale } from "../../dist/index.js";

const engine = await createEngine({ threads: Number(process.argv[2]) });
const y = await scale(engine.tensor([1, 2], [2]), 2).data();
console.log(y.join());
