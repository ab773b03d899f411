/**
 * Damaged weights files all the way to logits: each copy that still opens is planned, built, filled and run, or refused by an error of this
 * library. fuzz-formats.ts is the same for readers alone, and faster.
 *
 *   node --import tsx scripts/long/fuzz-nets.ts [--seconds 150] [--seed 1]      after npm run build
 *
 * Prints how far the copies came; exits with 1 where one ended otherwise, or took longer than 3 s.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Engine } from "#src/core/engine.js";
import { VerydeepError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { loadNet } from "#src/formats/load-net.js";
import { openWeights } from "#src/formats/open-weights.js";
import { planNet } from "#src/formats/plan-net.js";
import { bytesReader } from "#src/io/byte-reader.js";
import { netTotals } from "#src/models/net-config.js";
import { mutations } from "../../test/helpers/fuzz.js";

const root = fileURLToPath(new URL("../../test/fixtures/formats/", import.meta.url));
const MAX_MS = 3000;
/** Damage may make a net larger: such are planned, not run. */
const MAX_PARAMS = 2e6;
const MAX_MACS = 2e8;

type Stage = "open" | "plan" | "fill" | "run" | "end";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "150" }, seed: { type: "string", default: "1" } },
});

const models = readdirSync(root).filter((name) => name.startsWith("tfjs") || name === "layers-tfjs");
const files = readdirSync(root).filter((name) => /\.(safetensors|pth|h5|keras|onnx|caffemodel)$/.test(name));
const sources = [...files, ...models.map((name) => `${name}/model.json`)].map((file) => {
  const folder = path.dirname(path.join(root, file));
  const names = file.endsWith("model.json") ? readdirSync(folder) : [];
  const siblings = new Map(names.map((name) => [name, Uint8Array.from(readFileSync(path.join(folder, name)))]));
  return { file, siblings, copies: mutations(readFileSync(path.join(root, file)), Number(values.seed)) };
});

const engine = await createEngine({ threads: 1, tier: "plain", memoryMaxBytes: 2 ** 28 });
const reached = new Map<Stage, number>();
let failures = 0;
const deadline = performance.now() + Number(values.seconds) * 1000;
while (performance.now() < deadline) {
  for (const { file, siblings, copies } of sources) {
    const { value } = copies.next();
    if (!value) continue;
    const start = performance.now();
    const { stage, error } = await follow(value, path.basename(file), siblings, engine);
    reached.set(stage, (reached.get(stage) ?? 0) + 1);
    const took = performance.now() - start;
    if (error === null && took <= MAX_MS) continue;
    failures++;
    console.log(`FAILED ${file}, ${stage}, ${took.toFixed(0)} ms: ${error instanceof Error ? error.stack : error}`);
  }
}
await engine.close();
console.log(JSON.stringify({ ...Object.fromEntries(reached), failures }));
process.exitCode = failures > 0 ? 1 : 0;

/** How far a copy comes; `error` is what is no refusal. */
async function follow(
  bytes: Uint8Array,
  name: string,
  siblings: ReadonlyMap<string, Uint8Array>,
  on: Engine,
): Promise<{ stage: Stage; error: unknown }> {
  let stage: Stage = "open";
  try {
    const opened = await openWeights(bytesReader(bytes, name, siblings));
    stage = "plan";
    const { layers, inputShape } = planNet(opened);
    const { params, macs } = netTotals(layers);
    if (params < MAX_PARAMS && macs < MAX_MACS) {
      stage = "fill";
      const { model } = await loadNet(opened, on);
      stage = "run";
      const x = new Float32Array(inputShape.reduce((product, side) => product * side, 1));
      const y = await on.scope(() => on.noGrad(() => model.forward(on.tensor(x, [1, ...inputShape]))));
      await y.data();
      stage = "end";
    }
    await opened.close();
    return { stage, error: null };
  } catch (error) {
    return { stage, error: error instanceof VerydeepError ? null : error };
  }
}
