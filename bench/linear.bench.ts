/** Fully connected layers: output, input gradient, weight gradient, with the update too, one kernel call a program. */
import type { LinearShape } from "#src/backend/backend.js";
import type { Engine, Tensor } from "#src/index.js";
import {
  type BenchCase,
  type BenchSettings,
  checkValue,
  ExactSum,
  kernelRun,
  type Prepared,
  readShapes,
  runAlone,
  runCases,
  samplePlaces,
  uniform,
} from "./harness.js";

type LinearRow = LinearShape & { readonly layers: string };

/** Elements of a tensor at begin, begin + step, …: large weights are never copied whole. */
async function readStrided(tensor: Tensor, begin: number, step: number, count: number): Promise<number[]> {
  const { engine } = tensor;
  const values: number[] = [];
  for (let i = 0; i < count; i++) {
    const place = begin + i * step;
    values.push((await engine.read(tensor, place, place + 1))[0]);
  }
  return values;
}

async function prepareForward(engine: Engine, s: LinearShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.inFeatures], "x");
  const weight = await uniform(engine, [s.outFeatures, s.inFeatures], "weight");
  const bias = await uniform(engine, [s.outFeatures], "bias");
  const record = (): Tensor => {
    const y = engine.emptyTensor([s.batch, s.outFeatures]);
    engine.record("linearForward", { ...s, relu: false }, { x, weight, bias, y });
    return y;
  };
  return kernelRun(engine, record, async (result) => {
    const [y, xs, bs] = [await result.data(), await x.data(), await bias.data()];
    for (const place of samplePlaces(y.length)) {
      const [b, o] = [Math.floor(place / s.outFeatures), place % s.outFeatures];
      const row = await engine.read(weight, o * s.inFeatures, (o + 1) * s.inFeatures);
      const sum = new ExactSum();
      sum.add(bs[o], 1);
      for (let i = 0; i < s.inFeatures; i++) sum.add(xs[b * s.inFeatures + i], row[i]);
      checkValue(`y[${place}]`, y[place], sum.value, sum.scale);
    }
  });
}

async function prepareBackwardInput(engine: Engine, s: LinearShape): Promise<Prepared> {
  const dy = await uniform(engine, [s.batch, s.outFeatures], "dy");
  const weight = await uniform(engine, [s.outFeatures, s.inFeatures], "weight");
  const record = (): Tensor => {
    const dx = engine.emptyTensor([s.batch, s.inFeatures]);
    engine.record("linearBackwardInput", s, { dy, weight, mask: null, dx });
    return dx;
  };
  return kernelRun(engine, record, async (result) => {
    const [dx, dys] = [await result.data(), await dy.data()];
    for (const place of samplePlaces(dx.length).slice(0, 4)) {
      const [b, i] = [Math.floor(place / s.inFeatures), place % s.inFeatures];
      const column = await readStrided(weight, i, s.inFeatures, s.outFeatures);
      const sum = new ExactSum();
      for (let o = 0; o < s.outFeatures; o++) sum.add(dys[b * s.outFeatures + o], column[o]);
      checkValue(`dx[${place}]`, dx[place], sum.value, sum.scale);
    }
  });
}

async function prepareBackwardWeight(engine: Engine, s: LinearShape): Promise<Prepared> {
  return prepareGradient(engine, s, (x, dy) => {
    const dWeight = engine.emptyTensor([s.outFeatures, s.inFeatures]);
    engine.record("linearBackwardWeight", { ...s, accumulate: false }, { x, dy, dWeight });
    return dWeight;
  });
}

/** Gradient and update, with factors that leave the weight as it is and the gradient in the velocity. */
async function prepareUpdateWeight(engine: Engine, s: LinearShape): Promise<Prepared> {
  const param = await uniform(engine, [s.outFeatures, s.inFeatures], "weight");
  const velocity = await uniform(engine, [s.outFeatures, s.inFeatures], "velocity");
  const settings = { lr: 0, momentum: 0, weightDecay: 0, form: "pytorch" } as const;
  return prepareGradient(engine, s, (x, dy) => {
    engine.record("linearUpdateWeight", { ...s, ...settings }, { x, dy, param, velocity });
    return velocity;
  });
}

async function prepareGradient(
  engine: Engine,
  s: LinearShape,
  gradientOf: (x: Tensor, dy: Tensor) => Tensor,
): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.inFeatures], "x");
  const dy = await uniform(engine, [s.batch, s.outFeatures], "dy");
  const record = (): Tensor => gradientOf(x, dy);
  return kernelRun(engine, record, async (dWeight) => {
    const [xs, dys] = [await x.data(), await dy.data()];
    for (const place of samplePlaces(dWeight.size)) {
      const [o, i] = [Math.floor(place / s.inFeatures), place % s.inFeatures];
      const sum = new ExactSum();
      for (let b = 0; b < s.batch; b++) sum.add(dys[b * s.outFeatures + o], xs[b * s.inFeatures + i]);
      checkValue(`dWeight[${place}]`, (await engine.read(dWeight, place, place + 1))[0], sum.value, sum.scale);
    }
  });
}

const DIRECTIONS = {
  linearForward: prepareForward,
  linearBackwardInput: prepareBackwardInput,
  linearBackwardWeight: prepareBackwardWeight,
  linearUpdateWeight: prepareUpdateWeight,
};

function linearCases({ layers, ...s }: LinearRow): BenchCase[] {
  const weights = s.outFeatures * s.inFeatures;
  return Object.entries(DIRECTIONS).map(([bench, prepare]) => ({
    bench,
    shape: `x=[${s.batch},${s.inFeatures}] w=[${s.outFeatures},${s.inFeatures}]`,
    layers,
    flops: 2 * weights * s.batch,
    // The update reads and writes weight and velocity.
    bytes: 4 * ((bench === "linearUpdateWeight" ? 4 : 1) * weights + s.batch * (s.inFeatures + s.outFeatures)),
    prepare: (engine) => prepare(engine, s),
  }));
}

export async function bench(settings: BenchSettings): Promise<void> {
  await runCases(readShapes<LinearRow>("linear").flatMap(linearCases), settings);
}

await runAlone(import.meta.url, bench);
