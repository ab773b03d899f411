/**
 * Nets written as TensorFlow.js layers, loaded by TensorFlow.js itself: its outputs beside ours, for every layer that can be said
 * (test/formats/tfjs-nets.ts).
 *
 *   (cd bench/peers && npm ci --ignore-scripts) && node --import tsx scripts/long/tfjs-roundtrip.ts      after npm run build
 *
 * Prints, for each net, the largest distance over the largest output, and exits with 1 where one is above the limit.
 */
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createEngine } from "#src/engine.js";
import { encodeTfjs } from "#src/formats/tfjs/tfjs-write.js";
import { Net } from "#src/models/net.js";
import { tableLayers } from "#src/models/net-config.js";
import { formulaFill } from "../../test/fixtures/formula.js";
import { TFJS_NETS } from "../../test/formats/tfjs-nets.js";

/** Of the largest: float32 sums in another order. */
const LIMIT = 1e-5;

const peers = createRequire(fileURLToPath(new URL("../../bench/peers/package.json", import.meta.url)));
const load = async (name: string) => import(pathToFileURL(peers.resolve(name)).href);
const tf = await load("@tensorflow/tfjs-core");
await load("@tensorflow/tfjs-backend-cpu");
const { loadLayersModel } = await load("@tensorflow/tfjs-layers");
await tf.setBackend("cpu");

/** What TensorFlow.js makes of x, which is [1, height, width, channels]. */
async function outputOf(
  files: ReadonlyMap<string, Uint8Array>,
  x: Float32Array,
  shape: readonly number[],
): Promise<Float32Array> {
  const text = new TextDecoder().decode(files.get("model.json"));
  const { modelTopology, weightsManifest } = JSON.parse(text);
  const shards = [...files].filter(([name]) => name.endsWith(".bin")).map(([, bytes]) => bytes);
  const weightData = new Uint8Array(await new Blob(shards.map((bytes) => bytes.slice())).arrayBuffer()).buffer;
  const weightSpecs = weightsManifest[0].weights;
  const model = await loadLayersModel({ load: async () => ({ modelTopology, weightSpecs, weightData }) });
  return model.predict(tf.tensor(x, shape)).data();
}

/** NCHW to NHWC. */
function channelsLast(x: Float32Array, [channels, height, width]: readonly number[]): Float32Array {
  const places = height * width;
  return x.map((_, i) => x[(i % channels) * places + Math.floor(i / channels)]);
}

const engine = await createEngine({ threads: 1 });
let failed = false;
for (const { name, rows, inShape } of TFJS_NETS) {
  const layers = tableLayers(rows, inShape, { net: name, classes: 10 });
  const net = new Net(layers, { seed: 5 }, engine);
  let t = 0;
  for (const [part, tensor] of net.stateDict()) {
    if (!/running|bias|norm/.test(part)) continue;
    const values = await tensor.read();
    formulaFill(values, 2000 + t++, 0.5);
    if (/running_var|norm\.weight/.test(part)) for (let i = 0; i < values.length; i++) values[i] += 0.75;
    await tensor.write(values);
  }
  net.eval();
  const files = await encodeTfjs(layers, net, { inputShape: inShape });
  const x = new Float32Array(inShape.reduce((product, side) => product * side, 1));
  formulaFill(x, 1, 4);
  const ours = await engine.noGrad(() => net.forward(engine.tensor(x, [1, ...inShape]))).data();
  const [channels, height, width] = inShape;
  const theirs = await outputOf(files, channelsLast(x, inShape), [1, height, width, channels]);
  const largest = Math.max(...ours.map(Math.abs));
  const distance = Math.max(...ours.map((value, i) => Math.abs(value - theirs[i]))) / largest;
  const good = ours.length === theirs.length && distance <= LIMIT;
  failed ||= !good;
  console.log(
    `${good ? "ok    " : "FAILED"} ${distance.toExponential(1)} of ${largest.toPrecision(3)}, ${ours.length} outputs: ${name}`,
  );
}
await engine.close();
process.exitCode = failed ? 1 : 0;
