/**
 * 200 random small nets of all operations against PyTorch: loss, every parameter's gradient, running statistics. They have
 * branches, values and parameters with several readers, several losses. test/fixtures/make-random-nets.py makes them.
 */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { type Shape, sizeOf } from "#src/core/shape.js";
import { type Parameter, StateTensor, type Tensor } from "#src/core/tensor.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import { parseSafetensors } from "#src/io/safetensors-format.js";
import * as ops from "#src/ops/index.js";
import { formulaFill } from "../fixtures/formula.js";
import { maxRelativeError, sameValues } from "../helpers/compare.js";
import type { FixtureOptions } from "../helpers/fixtures.js";
import { recordParameter } from "../helpers/run-op.js";

/**
 * Relative to the largest value of a tensor. Nets in which PyTorch's own float32 is 4e-6 or more away from its float64 are not
 * among the 200; a net of ten operations sums in orders of its own, so twice and a half that is allowed.
 */
const TOLERANCE = 1e-5;
/**
 * Winograd's F(2x2, 3x3) adds and subtracts inputs, filters and products, each rounded: its errors are some two to three times those
 * of the direct sum (Barabasz et al. 2020, "Error analysis and improving the accuracy of Winograd convolution"). Forced here on
 * layers of few channels, for which `auto` never takes it. One net needs this: a bias's gradient in which two pictures nearly
 * cancel, and which PyTorch's float32 computes to 3.9e-6.
 */
const WINOGRAD_TOLERANCE = 2e-5;
/** The stored results are rounded to float32, which is all that a float64 engine may differ by. */
const ROUNDING = 1e-7;

const NETS = 200;
/** Fewer uses would leave an operation's meeting with the others to chance; the maker refuses to write such a file. */
const LEAST_USES = 10;

interface TensorEntry {
  readonly kind: "parameter" | "constant" | "state";
  readonly shape: Shape;
  /** Number and scale of the fill formula. */
  readonly t: number;
  readonly scale: number;
  readonly base: number;
}

interface NodeEntry {
  readonly op: string;
  readonly in: readonly (string | null)[];
  readonly options: FixtureOptions & { readonly shape: Shape };
}

interface Net {
  readonly name: string;
  readonly tensors: readonly TensorEntry[];
  readonly nodes: readonly NodeEntry[];
}

type Apply = (inputs: readonly Tensor[], options: NodeEntry["options"]) => Tensor;

const OPS: Readonly<Record<string, Apply>> = {
  conv2d: ([x, weight, bias], options) => ops.conv2d(x, weight, bias ?? null, options),
  convTranspose2d: ([x, weight, bias], options) => ops.convTranspose2d(x, weight, bias ?? null, options),
  linear: ([x, weight, bias]) => ops.linear(x, weight, bias ?? null),
  maxPool2d: ([x], options) => ops.maxPool2d(x, options),
  avgPool2d: ([x], options) => ops.avgPool2d(x, options),
  adaptiveAvgPool2d: ([x], { outputSize }) => ops.adaptiveAvgPool2d(x, outputSize),
  adaptiveMaxPool2d: ([x], { outputSize }) => ops.adaptiveMaxPool2d(x, outputSize),
  globalAvgPool2d: ([x]) => ops.globalAvgPool2d(x),
  batchNorm: ([x, weight, bias, mean, variance], options) =>
    ops.batchNorm(x, { weight, bias, runningMean: state(mean), runningVar: state(variance) }, options),
  localResponseNorm: ([x], options) => ops.localResponseNorm(x, options),
  relu: ([x]) => ops.relu(x),
  leakyRelu: ([x], { slope }) => ops.leakyRelu(x, slope),
  tanh: ([x]) => ops.tanh(x),
  sigmoid: ([x]) => ops.sigmoid(x),
  concat: (inputs) => ops.concat(inputs),
  add: ([a, b]) => ops.add(a, b),
  mul: ([a, b]) => ops.mul(a, b),
  scale: ([x], { factor }) => ops.scale(x, factor),
  sum: ([x]) => ops.sum(x),
  crop2d: ([x], options) => ops.crop2d(x, options),
  upsampleBilinear2d: ([x], options) => ops.upsampleBilinear2d(x, options),
  reshape: ([x], { shape }) => ops.reshape(x, shape),
  flatten: ([x]) => ops.flatten(x),
  channelsLast: ([x]) => ops.channelsLast(x),
  logSoftmax: ([x]) => ops.logSoftmax(x),
  crossEntropy: ([x]) => {
    const [rows, classes] = x.shape;
    const labels = Array.from({ length: rows }, (_, row) => (7 * row + 3) % classes);
    return ops.crossEntropy(x, ops.labelsTensor(x.engine, labels, classes));
  },
  mseLoss: ([x, target]) => ops.mseLoss(x, target),
  euclideanLoss: ([x, target]) => ops.euclideanLoss(x, target),
};

/** base + formula, as the maker has it: rounded to float32. */
function valuesOf({ shape, t, scale, base }: TensorEntry): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  formulaFill(values, t, scale);
  return values.map((value) => value + base);
}

function state(tensor: Tensor): StateTensor {
  if (tensor instanceof StateTensor) return tensor;
  throw new Error("running statistics must be of kind state");
}

/** [name, values] of the loss, of the gradients and of the states, in the order of the file. */
async function compute(engine: Engine, net: Net): Promise<[name: string, values: Float64Array][]> {
  const parameters: [string, Parameter][] = [];
  const states: [string, StateTensor][] = [];
  const loss = await engine.scope(() => {
    const values = new Map<string, Tensor>();
    for (const [i, entry] of net.tensors.entries()) {
      const name = `t${i}`;
      const data = valuesOf(entry);
      if (entry.kind === "parameter") {
        const parameter = recordParameter(engine, name, { shape: entry.shape, data });
        parameters.push([name, parameter]);
        values.set(name, parameter);
      } else if (entry.kind === "state") {
        const tensor = engine.stateTensor(entry.shape, name);
        const x = engine.tensor(data, entry.shape);
        engine.record("copy", { length: data.length, xBegin: 0, yBegin: 0 }, { x, y: tensor });
        states.push([name, tensor]);
        values.set(name, tensor);
      } else {
        values.set(name, engine.tensor(data, entry.shape));
      }
    }
    let last: Tensor | undefined;
    for (const [i, { op, in: names, options }] of net.nodes.entries()) {
      // An absent bias is the last input.
      const inputs = names.filter((name) => name !== null).map((name) => values.get(name) ?? missing(name));
      last = OPS[op](inputs, options);
      values.set(`n${i}`, last);
    }
    if (last === undefined) throw new Error("a net without nodes");
    last.backward();
    return last;
  });
  const results: [string, Float64Array][] = [["loss", await loss.values()]];
  for (const [name, { grad }] of parameters) {
    if (grad === null) throw new Error(`${name} got no gradient`);
    results.push([`gradient of ${name}`, await grad.values()]);
  }
  for (const [name, tensor] of states) results.push([`state ${name}`, await tensor.values()]);
  return results;
}

function missing(name: string): never {
  throw new Error(`the net has no ${name} at this place`);
}

const ENGINES: readonly (readonly [name: string, options: EngineOptions, tolerance: number])[] = [
  ["wasm 1 thread", { threads: 1 }, TOLERANCE],
  ["wasm 2 threads", { threads: 2 }, TOLERANCE],
  ["wasm winograd2", { threads: 2, convAlgorithm: "winograd2" }, WINOGRAD_TOLERANCE],
  ["reference float32", { backend: "reference", precision: "float32" }, TOLERANCE],
  ["reference float64", { backend: "reference", precision: "float64" }, ROUNDING],
];

const file = (name: string): URL => new URL(`../fixtures/random-nets.${name}`, import.meta.url);
const nets: readonly Net[] = JSON.parse(await readFile(file("json"), "utf8"));
const truth = parseSafetensors(new Uint8Array(await readFile(file("safetensors"))), "random-nets.safetensors");
let ran = 0;

const tested = await Promise.all(
  ENGINES.map(async ([name, options, tolerance]) => ({
    name,
    tolerance,
    worst: 0,
    engine: await createEngine(options),
  })),
);

test.after(async () => {
  for (const { engine } of tested) await engine.close();
  console.log(`\n  worst relative errors: ${tested.map((t) => `${t.name} ${t.worst.toExponential(1)}`).join(", ")}`);
});

for (const [number, net] of nets.entries()) {
  test(net.name, async () => {
    const expected = await truth.read(String(number));
    const bits: Float64Array[][] = [];
    for (const backend of tested) {
      const results = await compute(backend.engine, net);
      let begin = 0;
      for (const [name, values] of results) {
        const error = maxRelativeError(values, expected.subarray(begin, begin + values.length));
        begin += values.length;
        assert.ok(error <= backend.tolerance, `${backend.name}, ${name}: relative error ${error.toExponential(2)}`);
        backend.worst = Math.max(backend.worst, error);
      }
      assert.is(begin, expected.length);
      bits.push(results.map(([, values]) => values));
    }
    const [one, two] = bits;
    assert.ok(
      one.every((values, i) => sameValues(values, two[i])),
      "1 and 2 threads: different bits",
    );
    ran++;
  });
}

test(`${NETS} nets ran, each operation in them at least ${LEAST_USES} times`, () => {
  assert.is(ran, NETS);
  const used = nets.flatMap(({ nodes }) => nodes.map(({ op }) => op));
  assert.equal(
    Object.keys(OPS).filter((op) => used.filter((name) => name === op).length < LEAST_USES),
    [],
  );
});

test.run();
