/**
 * Nets written as ONNX, computed by onnxruntime and by this engine, and read again:
 *
 *   cd bench/peers && npm ci --ignore-scripts
 *   node --import tsx scripts/long/onnx-roundtrip.ts [NAME,...]      after npm run build; vgg16 of full size takes 3 GB
 *
 * Prints one JSON object a net: the file's bytes, seconds to write it and to open it, the largest distance of onnxruntime's output from ours relative
 * to the largest value, and whether the net that is read gives our bits. Exits with 1 where a net is further away than 1e-5.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Engine } from "#src/core/engine.js";
import { createEngine } from "#src/engine.js";
import { loadNet } from "#src/formats/load-net.js";
import { openOnnx } from "#src/formats/onnx/onnx.js";
import { writeOnnx } from "#src/formats/onnx/onnx-file.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import { Net } from "#src/models/net.js";
import {
  at,
  batchNorm,
  conv,
  flatten,
  linear,
  type NetLayer,
  type Row,
  relu,
  tableLayers,
} from "#src/models/net-config.js";
import { netLayers } from "#src/models/nets.js";
import { vgg } from "#src/models/vgg.js";
import { type VggConfigName, type VggOptions, vggLayers } from "#src/models/vgg-config.js";
import type { Module } from "#src/nn/module.js";
import { formulaFill } from "../../test/fixtures/formula.js";
import { maxRelativeError, sameValues } from "../../test/helpers/compare.js";
import { randomise } from "../../test/helpers/randomise.js";

const TOLERANCE = 1e-5;
const BATCH = 2;

/** What is used of onnxruntime. */
interface Ort {
  readonly InferenceSession: {
    create(path: string): Promise<{
      run(feeds: Record<string, unknown>): Promise<Record<string, { readonly data: Float32Array }>>;
      release(): Promise<void>;
    }>;
  };
  readonly Tensor: new (type: "float32", data: Float32Array, shape: readonly number[]) => unknown;
}

const ort: Ort = createRequire(new URL("../../bench/peers/package.json", import.meta.url))("onnxruntime-node");

/** Kinds that the named nets have not. */
const EVERY_KIND: readonly Row[] = [
  conv(6, [3, 2], { stride: [2, 1], padding: [1, 0], dilation: [1, 2], name: "a" }),
  { kind: "leakyRelu", slope: 0.25 },
  conv(4, 3, { groups: 2, bias: false, padding: 1, name: "b" }),
  at(relu, { name: "r" }),
  batchNorm({ eps: 1e-3 }),
  at({ kind: "lrn", size: 3, alpha: 0.1, beta: 0.5, k: 1.5 }, { name: "l" }),
  at({ kind: "add" }, { name: "s3", from: ["r", "l", "b"] }),
  at({ kind: "mul" }, { name: "m3", from: ["r", "s3", "b"] }),
  at({ kind: "pad", sides: [1, 0, 2, 3] }, { name: "p" }),
  at({ kind: "crop", offset: 1 }, { name: "k", from: ["p", "r"] }),
  at({ kind: "concat" }, { name: "cat", from: ["k", "m3", "r"] }),
  { kind: "dropout", p: 0.25 },
  { kind: "upsample", scaleFactor: [2, 1.5], alignCorners: false, name: "u" },
  { kind: "upsample", size: [17, 25], alignCorners: true, name: "v" },
  { kind: "avgPool", kernelSize: 3, stride: 2, padding: 1, ceilMode: true, name: "c" },
  { kind: "avgPool", kernelSize: 2, stride: [1, 2], padding: 1, ceilMode: true, countIncludePad: false, name: "d" },
  { kind: "avgPool", kernelSize: 2, stride: 1, padding: 1, ceilMode: false, countIncludePad: true, name: "e" },
  { kind: "pool", kernelSize: 2, stride: 2, padding: 0, ceilMode: true, name: "f" },
  { kind: "tanh" },
  {
    kind: "convTranspose",
    outputs: 4,
    kernelSize: [3, 2],
    stride: 2,
    padding: [1, 0],
    groups: 2,
    bias: true,
    name: "g",
  },
  { kind: "sigmoid" },
  { kind: "adaptiveMaxPool", outputSize: 1, name: "h" },
  flatten,
  linear("classes", { name: "fc", bias: false }),
  batchNorm({ name: "bn.fc" }),
];

const vggNet = (config: VggConfigName, options: VggOptions): [readonly NetLayer[], (engine: Engine) => Module] => [
  vggLayers(config, options),
  (engine) => vgg(config, options, engine),
];
const tableNet = (layers: readonly NetLayer[]): [readonly NetLayer[], (engine: Engine) => Module] => [
  layers,
  (engine) => new Net(layers, {}, engine),
];

const NETS: Readonly<Record<string, () => [readonly NetLayer[], (engine: Engine) => Module]>> = {
  every: () => tableNet(tableLayers(EVERY_KIND, [3, 21, 17], { net: "every", classes: 5 })),
  "vgg16-narrow": () => vggNet("D", { width: 0.125, inputSize: 64, classes: 10 }),
  "vgg11-bn": () => vggNet("A", { width: 0.25, inputSize: 64, classes: 10, batchNorm: true }),
  alexnet: () => tableNet(netLayers("alexnet")),
  zfnet: () => tableNet(netLayers("zfnet", { width: 0.5 })),
  nin: () => tableNet(netLayers("nin")),
  googlenet: () => tableNet(netLayers("googlenet")),
  fcn8s: () => tableNet(netLayers("fcn8s", { width: 0.125, inputSize: 96 })),
  fcn32s: () => tableNet(netLayers("fcn32s", { width: 0.125, inputSize: 70 })),
  vgg16: () => vggNet("D", {}),
};

async function measure(name: string, folder: string): Promise<number> {
  const [layers, build] = NETS[name]();
  const file = path.join(folder, `${name}.onnx`);
  const shape = [BATCH, ...layers[0].inShape];
  const x = new Float32Array(shape.reduce((product, side) => product * side, 1));
  formulaFill(x, 1, 4);

  const engine = await createEngine();
  const model = build(engine).eval();
  await randomise(model, 0.1);
  const start = performance.now();
  await writeOnnx(file, layers, model);
  const writeS = (performance.now() - start) / 1000;
  const ours = await engine.noGrad(() => model.forward(engine.tensor(x, shape))).data();
  await engine.close();

  const opening = performance.now();
  const opened = await openOnnx(await openFileBytes(file));
  const openS = (performance.now() - opening) / 1000;
  const reader = await createEngine();
  const { model: read } = await loadNet(opened, reader);
  const again = await reader.noGrad(() => read.forward(reader.tensor(x, shape))).data();
  await opened.close();
  await reader.close();

  const session = await ort.InferenceSession.create(file);
  const { logits } = await session.run({ input: new ort.Tensor("float32", x, shape) });
  const distance = maxRelativeError(ours, logits.data);
  await session.release();
  const sizeBytes = statSync(file).size;
  rmSync(file);
  const seconds = { writeS: Number(writeS.toFixed(3)), openS: Number(openS.toFixed(3)) };
  console.log(JSON.stringify({ net: name, sizeBytes, ...seconds, distance, sameBitsAgain: sameValues(again, ours) }));
  return distance;
}

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-onnx-"));
try {
  for (const name of process.argv[2]?.split(",") ?? Object.keys(NETS)) {
    if (!((await measure(name, folder)) <= TOLERANCE)) process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
