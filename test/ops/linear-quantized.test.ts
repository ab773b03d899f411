/**
 * Fully connected layers with weights as float16 and int8: against linear with the same weights in float32 (the same bits), against whole-number
 * sums made here (the same bits), and against the reference backend; on one, two and three threads, plain and relaxed, above 2 GiB. On GPUs, whose
 * drivers decide on the order of sums, nearly the same in place of the same bits.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { QuantizedType } from "#src/backend/backend.js";
import { possibleTiers } from "#src/backend/wasm/tiers.js";
import type { Engine } from "#src/core/engine.js";
import { ShapeError, UsageError, WeightsError } from "#src/core/errors.js";
import { decodeF16, encodeF16, quantizeRows } from "#src/core/quantize.js";
import { Random } from "#src/core/random.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { QuantizedLinear, QuantizedWeight } from "#src/nn/index.js";
import { NODE } from "#src/node-host.js";
import { linear, linearQuantized, relu, sum } from "#src/ops/index.js";
import { maxRelativeError } from "../helpers/compare.js";
import { GPU_TOLERANCE, gpuEngines, onGpu } from "../helpers/webgpu.js";
import { fails } from "../io/fails.js";

/** Float32 sums of some thousand products against float64's. */
const SUMS = 1e-6;

/** Outputs around the four rows of a tile; inputs around vectors of 8 and 16, blocks of 2048 and 4096, and KC = 256. */
const OUTPUTS = [1, 3, 4, 5, 8, 34];
const INPUTS = [1, 7, 8, 15, 16, 17, 255, 257, 2047, 2049, 4095, 4113, 8200];
const BATCHES = [1, 2, 9];

const ABOVE_2_GIB = 36045 * 65536;
const tiers = (await possibleTiers(NODE)).filter((tier) => tier !== "plain");
if (tiers.length < 2) console.log("SKIPPED linearQuantized in the turbo tier: it needs Node 24 on x86-64 with AVX2");

interface Tested {
  readonly name: string;
  readonly engine: Engine;
}

async function wasmEngines(): Promise<readonly Tested[]> {
  const engines: Tested[] = [];
  for (const threads of [1, 2, 3]) {
    engines.push({ name: `plain, ${threads} threads`, engine: await createEngine({ threads, tier: "plain" }) });
  }
  const high = await createEngine({ threads: 1, tier: "plain", arenaBaseBytes: ABOVE_2_GIB });
  return [...engines, { name: "above 2 GiB", engine: high }];
}

const plain: readonly Tested[] = onGpu()
  ? (await gpuEngines()).map((engine, i) => ({ name: `WebGPU ${i}`, engine }))
  : await wasmEngines();
const fused: Tested[] = [];
for (const tier of onGpu() ? [] : tiers) fused.push({ name: tier, engine: await createEngine({ threads: 2, tier }) });
const reference = await createEngine({ backend: "reference", precision: "float64" });
const reference32 = await createEngine({ backend: "reference" });

test.after(async () => {
  for (const { engine } of [...plain, ...fused]) await engine.close();
});

interface Case {
  readonly batch: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
}

function makeCase(batch: number, inFeatures: number, outFeatures: number, bias = true): Case {
  const random = new Random(7, "quantized", batch, inFeatures, outFeatures);
  const normals = (count: number, scale: number): Float32Array =>
    Float32Array.from({ length: count }, () => (random.uniform() - 0.5) * scale);
  return {
    batch,
    inFeatures,
    outFeatures,
    x: normals(batch * inFeatures, 6).map((value) => Math.max(0, value)),
    weight: normals(outFeatures * inFeatures, 0.1),
    bias: bias ? normals(outFeatures, 1) : null,
  };
}

function* cases(): Generator<Case> {
  for (const inFeatures of INPUTS) {
    for (const outFeatures of OUTPUTS) {
      const batch = BATCHES[(inFeatures + outFeatures) % BATCHES.length];
      yield makeCase(batch, inFeatures, outFeatures, outFeatures !== 5);
      if (batch > 1) yield makeCase(1, inFeatures, outFeatures);
    }
  }
}

const nameOf = ({ batch, inFeatures, outFeatures }: Case): string =>
  `x=[${batch},${inFeatures}] w=[${outFeatures},${inFeatures}]`;

async function quantized(engine: Engine, type: QuantizedType, c: Case, after = (y: Tensor): Tensor => y) {
  const weight = new QuantizedWeight(engine, c.outFeatures, c.inFeatures, type);
  await weight.write(c.weight);
  const x = engine.tensor(c.x, [c.batch, c.inFeatures]);
  const bias = c.bias && engine.tensor(c.bias, [c.outFeatures]);
  return after(linearQuantized(x, weight, weight.scale, bias)).data();
}

async function inFloats(engine: Engine, c: Case, after = (y: Tensor): Tensor => y): Promise<Float32Array> {
  const weight = engine.tensor(decodeF16(encodeF16(c.weight)), [c.outFeatures, c.inFeatures]);
  const x = engine.tensor(c.x, [c.batch, c.inFeatures]);
  return after(linear(x, weight, c.bias && engine.tensor(c.bias, [c.outFeatures]))).data();
}

/** What int8 is defined to give: sums of whole numbers, scaled in double precision. */
function inWholeNumbers({ batch, inFeatures, outFeatures, x, weight, bias }: Case): Float32Array {
  const { q, scales } = quantizeRows(weight, inFeatures);
  const y = new Float32Array(batch * outFeatures);
  for (let b = 0; b < batch; b++) {
    const image = x.subarray(b * inFeatures, (b + 1) * inFeatures);
    const step = Math.fround(image.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 32767);
    const rounded = Float64Array.from(image, (value) => Math.min(32767, roundHalfEven(Math.fround(value / step) || 0)));
    for (let o = 0; o < outFeatures; o++) {
      let total = 0;
      for (let i = 0; i < inFeatures; i++) total += rounded[i] * q[o * inFeatures + i];
      y[b * outFeatures + o] = Math.fround(total * (step * scales[o])) + (bias ? bias[o] : 0);
    }
  }
  return y;
}

/** The same bits; nearly, on a GPU. */
function same(actual: Float32Array, expected: Float32Array, name: string): void {
  const error = maxRelativeError(actual, expected);
  assert.ok(error <= (onGpu() ? GPU_TOLERANCE : 0), `${name}: relative error ${error.toExponential(2)}`);
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

for (const { name, engine } of [...plain, ...fused]) {
  test(`float16 has the bits of linear: ${name}`, async () => {
    for (const c of cases()) same(await quantized(engine, "float16", c), await inFloats(engine, c), nameOf(c));
  });

  test(`int8 has the bits of its definition: ${name}`, async () => {
    for (const c of cases()) same(await quantized(engine, "int8", c), inWholeNumbers(c), nameOf(c));
  });
}

test("the reference backend agrees", async () => {
  for (const type of ["float16", "int8"] as const) {
    for (const inFeatures of [1, 17, 300]) {
      const c = makeCase(2, inFeatures, 5);
      const expected = await quantized(reference, type, c);
      assert.ok(maxRelativeError(await quantized(plain[0].engine, type, c), expected) < SUMS, nameOf(c));
      assert.ok(maxRelativeError(await quantized(reference32, type, c), expected) < SUMS, nameOf(c));
    }
  }
});

test("int8 against the weights that it rounds: within a hundredth of the largest output", async () => {
  const c = makeCase(2, 4096, 32);
  const exact = await inFloats(reference, c);
  const error = maxRelativeError(await quantized(plain[0].engine, "int8", c), exact);
  assert.ok(error < 0.01, `${error}`);
  assert.ok(error > 1e-5, `${error}: nothing was rounded`);
});

test("ReLU inside of the kernel", async () => {
  const after = (y: Tensor): Tensor => relu(y);
  for (const batch of [1, 3]) {
    const c = makeCase(batch, 100, 21);
    const { engine } = plain[1];
    const halves = await quantized(engine, "float16", c, after);
    same(halves, await inFloats(engine, c, after), "float16");
    assert.ok(halves.includes(0) && halves.some((value) => value > 0));
    same(
      await quantized(engine, "int8", c, after),
      inWholeNumbers(c).map((value) => Math.max(0, value)),
      "int8",
    );
  }
});

test("inputs of every size: 2^-149 to the largest, and zeros", async () => {
  // GPUs may take subnormal numbers for 0: the smallest inputs' steps, and outputs.
  for (const scale of [...(onGpu() ? [] : [2 ** -149, 1e-38]), 1e-20, 1, 2 ** 40, 2 ** 126]) {
    for (const batch of [1, 2]) {
      const c = makeCase(batch, 70, 6, false);
      const scaled = { ...c, x: c.x.map((value) => Math.fround(Math.min(value, 1.9) * scale)) };
      same(await quantized(plain[0].engine, "int8", scaled), inWholeNumbers(scaled), `${scale}`);
      if (scale < 1e-37) continue; // where linear itself rounds products that are too small
      same(await quantized(plain[0].engine, "float16", scaled), await inFloats(plain[0].engine, scaled), `${scale}`);
    }
  }
  const none = { ...makeCase(2, 33, 5), x: new Float32Array(66) };
  const bias = Float32Array.from({ length: 10 }, (_, i) => none.bias?.[i % 5] ?? 0);
  for (const type of ["float16", "int8"] as const) assert.equal(await quantized(plain[0].engine, type, none), bias);
});

test("weights of every size: subnormal halves, up to 65504, rows of zeros", async () => {
  for (const scale of [2 ** -24, 2 ** -20, 2 ** -14, 63, 64, 1000, 65504]) {
    for (const batch of [1, 3]) {
      const c = makeCase(batch, 50, 9);
      const weight = c.weight.map((value, i) => (Math.floor(i / 50) === 4 ? 0 : Math.fround(value * 20 * scale)));
      const scaled = { ...c, weight };
      same(await quantized(plain[0].engine, "float16", scaled), await inFloats(plain[0].engine, scaled), `${scale}`);
      same(await quantized(plain[0].engine, "int8", scaled), inWholeNumbers(scaled), `${scale}`);
    }
  }
});

test("int8: the largest sums there can be", async () => {
  const inFeatures = 25088;
  const { engine } = plain[0];
  const weight = new QuantizedWeight(engine, 5, inFeatures, "int8");
  await weight.writeFrom(async (bytes) => void bytes.fill(0x80)); // -128, which other programs may write
  await weight.scale.write(new Float32Array(5).fill(1));
  const x = engine.tensor(new Float32Array(inFeatures).fill(32767), [1, inFeatures]);
  const expected = Math.fround(-128 * 32767 * inFeatures);
  assert.equal([...(await linearQuantized(x, weight, weight.scale).data())], new Array(5).fill(expected));
});

test("NaN and infinities of x reach y", async () => {
  for (const { engine } of [plain[0], { engine: reference32 }]) {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const batch of [1, 2]) {
        const c = makeCase(batch, 40, 5);
        c.x[39] = value;
        const ints = await quantized(engine, "int8", c);
        assert.ok(ints.subarray(0, 5).every(Number.isNaN), `int8 ${value}`);
        assert.ok(ints.subarray(5).every(Number.isFinite), `int8 ${value}`);
        const halves = await quantized(engine, "float16", c);
        same(halves, await inFloats(engine, c), `float16 ${value}`);
      }
    }
  }
});

test("a weight reads as what it multiplies by, and keeps what was written", async () => {
  for (const { engine } of [plain[1], { engine: reference }]) {
    const { weight: values } = makeCase(1, 37, 6);
    const halves = new QuantizedWeight(engine, 6, 37, "float16");
    await halves.write(values);
    assert.equal(await halves.read(), decodeF16(encodeF16(values)));
    assert.equal(await halves.read(40, 80), decodeF16(encodeF16(values)).subarray(40, 80));

    const ints = new QuantizedWeight(engine, 6, 37, "int8");
    await ints.write(values);
    const rows = quantizeRows(values, 37);
    const { q, scales } = await ints.readRows(2, 4);
    assert.equal(q, rows.q.slice(2 * 37, 4 * 37));
    assert.equal(scales, rows.scales.slice(2, 4));
    assert.equal(
      await ints.read(37, 39),
      Float32Array.from(rows.q.subarray(37, 39), (value) => value * rows.scales[1]),
    );
  }
});

test("all finite halves come back from memory, whatever shares their row", async () => {
  const finite = Uint16Array.from({ length: 1 << 16 }, (_, half) => half).filter((half) => (half & 0x7c00) < 0x7c00);
  const { engine } = plain[0];
  const below64 = finite.filter((half) => (half & 0x7fff) < 0x5400);
  for (const row of [finite, below64, Uint16Array.of(0, 1, 0x8001, 0x3ff, 0x8000)]) {
    const weight = new QuantizedWeight(engine, 1, row.length, "float16");
    await weight.writeFrom(async (bytes) => bytes.set(new Uint8Array(row.buffer)));
    assert.equal(await weight.read(), decodeF16(row));
  }
});

test("a large weight is filled in pieces of whole rows", async () => {
  const { engine } = plain[0];
  const [rows, columns] = [700, 4096];
  const values = makeCase(1, columns, rows).weight;
  for (const type of ["float16", "int8"] as const) {
    const weight = new QuantizedWeight(engine, rows, columns, type);
    const asked: number[] = [];
    await weight.fill(async (begin, end) => {
      asked.push(begin / columns, end / columns);
      return values.slice(begin, end);
    });
    assert.equal(asked, [0, 256, 256, 512, 512, 700]);
    const whole = new QuantizedWeight(engine, rows, columns, type);
    await whole.write(values);
    assert.equal(await weight.read(), await whole.read());
  }
});

test("memory: a half and a quarter of float32's", async () => {
  const engine = await createEngine({ threads: 1 });
  const used: number[] = [];
  for (const type of ["float16", "int8"] as const) {
    const before = engine.memory().usedBytes;
    const layer = new QuantizedLinear(engine, { inFeatures: 4096, outFeatures: 512, weightType: type, bias: false });
    await layer.weight.write(new Float32Array(4096 * 512));
    used.push(engine.memory().usedBytes - before);
  }
  assert.ok(used[0] < 4096 * 512 * 2 + 8192 && used[1] < 4096 * 512 + 8192, `${used}`);
  await engine.close();
});

test("what is wrong is said", async () => {
  const { engine } = plain[0];
  const c = makeCase(1, 4, 3);
  const weight = new QuantizedWeight(engine, 3, 4, "int8");
  const x = engine.tensor(c.x, [1, 4]);
  const says = async (record: () => unknown, type: typeof ShapeError | typeof UsageError, text: string) =>
    fails((async () => record())(), type, text);
  await says(
    () => linearQuantized(x, weight, weight.scale),
    UsageError,
    "linearQuantized: a tensor has no value yet (weight). Initialise or load it first.",
  );
  await weight.write(c.weight);
  await says(
    () => linearQuantized(engine.tensor(c.x.slice(1), [1, 3]), weight, weight.scale),
    ShapeError,
    "linearQuantized: input features differ (x [1,3] has 3, weight [3,4] takes 4). Check the input size",
  );
  await says(
    () => linearQuantized(x, weight, engine.tensor([1, 2], [2])),
    ShapeError,
    "linearQuantized: scale must have one value per output, 3 (scale [2]). Give a scale [3].",
  );
  await says(
    () => linearQuantized(x, engine.tensor(c.weight, [3, 4]), weight.scale),
    ShapeError,
    "linearQuantized: weight must be float16 or int8 (weight float32 [3,4]). Use linear for float32.",
  );
  await says(
    () => new QuantizedLinear(engine, { inFeatures: 0, outFeatures: 2, weightType: "int8" }),
    ShapeError,
    "QuantizedLinear: inFeatures must be an integer of at least 1 (inFeatures 0). Change inFeatures.",
  );
  await fails(
    weight.write(new Float32Array(4), 4),
    UsageError,
    "write: a weight as int8 is written as a whole (weight [3,4], elements 4 to 8). Give all values, or use fill().",
  );
  await fails(
    new QuantizedWeight(engine, 3, 4, "float16").writeFrom(async (bytes) => void bytes.fill(0x7c)),
    WeightsError,
    "liftHalfRows: a float16 is not finite (element 0, bits 0x7c7c). Mend the weights.",
  );
});

test("a gradient is refused, and nothing of it remains", async () => {
  const { engine } = plain[0];
  const layer = new QuantizedLinear(engine, { inFeatures: 4, outFeatures: 3, weightType: "float16" });
  const c = makeCase(1, 4, 3);
  await layer.loadStateDict({ weight: c.weight, bias: new Float32Array(3) });
  const before = engine.parameter([1, 4], "x");
  await before.write(c.x);
  const y = layer.forward(before);
  const remedy =
    "linearQuantized: a layer with weights as float16 has no gradient (weight [3,4]). Train with float32 weights.";
  await fails((async () => sum(y).backward())(), UsageError, remedy);
  assert.is(before.grad, null);
  assert.equal(await y.data(), await inFloats(engine, { ...c, bias: null }));
});

test.run();
