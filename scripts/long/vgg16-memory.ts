/**
 * The bar "memory": peak resident memory of VGG-16's forward pass at 224, batch 1, in a process that does nothing else.
 *
 *   node --import tsx scripts/long/vgg16-memory.ts [threads]
 *
 * Exits with 1 above 750 MB. Measured (Linux, 2 cores, Node 20.20): 668 MB with 2 threads, 647 MB with 1, of which 553 are weights.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const MOST_BYTES = 750e6;
const threads = Number(process.argv[2] ?? 2);
const library = fileURLToPath(new URL("../../dist/index.js", import.meta.url));

/** Three passes, so that whatever grows shows. Run without the loaders of this process. */
const program = `
import { readFileSync } from "node:fs";
import { createEngine, vgg } from ${JSON.stringify(library)};
const engine = await createEngine({ threads: ${threads} });
const model = vgg("D", {}, engine).eval();
const pixels = new Float32Array(3 * 224 * 224).fill(0.5);
const times = [];
for (let i = 0; i < 3; i++) {
  const start = performance.now();
  const y = await engine.noGrad(() => model.forward(engine.tensor(pixels, [1, 3, 224, 224]))).data();
  if (!y.every(Number.isFinite)) throw new Error("the logits are not finite");
  times.push(Math.round(performance.now() - start));
}
const { peakBytes, usedBytes } = engine.memory();
console.log(JSON.stringify({ maxRssBytes: process.resourceUsage().maxRSS * 1024, peakBytes, usedBytes, times }));
`;

const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
const { maxRssBytes, peakBytes, times }: { maxRssBytes: number; peakBytes: number; times: number[] } =
  JSON.parse(output);
console.log(`VGG-16, 224, batch 1, ${threads} threads: ms a pass ${times.join(" ")}`);
console.log(
  `tensor memory ${(peakBytes / 1e6).toFixed(0)} MB, peak RSS ${(maxRssBytes / 1e6).toFixed(0)} MB, bar 750 MB`,
);
if (maxRssBytes > MOST_BYTES) process.exitCode = 1;
