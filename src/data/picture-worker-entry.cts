/**
 * What piscina loads in a thread. It is CommonJS because piscina tries require() first, and a thread that is ended inside
 * require() of an ES module can abort Node 20 as a whole. The worker itself is picture-worker.ts.
 */
import type { PictureTask } from "./picture-worker.js" with { "resolution-mode": "import" };

const worker = import("./picture-worker.js");

async function run(task: PictureTask): Promise<unknown> {
  return (await worker).default(task);
}

export = run;
