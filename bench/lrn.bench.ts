/** Local response normalisation of A-LRN: output and input gradient, one kernel call a program. */
import type { LrnShape } from "#src/backend/backend.js";
import type { Engine, Tensor } from "#src/index.js";
import {
  type BenchCase,
  type BenchSettings,
  checkValue,
  kernelRun,
  type Prepared,
  readShapes,
  runAlone,
  runCases,
  samplePlaces,
  uniform,
} from "./harness.js";

interface LrnRow {
  readonly layers: string;
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
  readonly window: number;
}

function lrnShape({ batch, channels, size, window }: LrnRow): LrnShape {
  return { batch, channels, plane: size * size, size: window, alpha: 5e-4, beta: 0.75, k: 2 };
}

/** The channels, as places of the same pixel, whose windows hold this place's channel (odd sizes: and those in its own). */
function neighbours(s: LrnShape, place: number): number[] {
  const channel = Math.floor(place / s.plane) % s.channels;
  const reach = (s.size - 1) / 2;
  return Array.from({ length: s.size }, (_, i) => i - reach)
    .filter((offset) => channel + offset >= 0 && channel + offset < s.channels)
    .map((offset) => place + offset * s.plane);
}

function scaleAt(s: LrnShape, x: Float32Array, place: number): number {
  return s.k + (s.alpha / s.size) * neighbours(s, place).reduce((sum, i) => sum + x[i] * x[i], 0);
}

function recordForward(engine: Engine, s: LrnShape, x: Tensor): { y: Tensor; scale: Tensor } {
  const [y, scale] = [engine.emptyTensor(x.shape), engine.emptyTensor(x.shape)];
  engine.record("lrnForward", s, { x, y, scale });
  return { y, scale };
}

async function prepareForward(engine: Engine, s: LrnShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.channels, s.plane], "x");
  return kernelRun(
    engine,
    () => recordForward(engine, s, x).y,
    async (result) => {
      const [y, xs] = [await result.data(), await x.data()];
      for (const place of samplePlaces(y.length)) {
        checkValue(`y[${place}]`, y[place], xs[place] * scaleAt(s, xs, place) ** -s.beta);
      }
    },
  );
}

async function prepareBackward(engine: Engine, s: LrnShape): Promise<Prepared> {
  const x = await uniform(engine, [s.batch, s.channels, s.plane], "x");
  const dy = await uniform(engine, [s.batch, s.channels, s.plane], "dy");
  const { scale } = await engine.scope(() => recordForward(engine, s, x));
  const record = (): Tensor => {
    const dx = engine.emptyTensor(x.shape);
    engine.record("lrnBackward", s, { dy, x, scale, dx });
    return dx;
  };
  return kernelRun(engine, record, async (result) => {
    const [dx, xs, dys] = [await result.data(), await x.data(), await dy.data()];
    for (const place of samplePlaces(dx.length)) {
      const ratios = neighbours(s, place).map((i) => dys[i] * xs[i] * scaleAt(s, xs, i) ** (-s.beta - 1));
      const own = dys[place] * scaleAt(s, xs, place) ** -s.beta;
      const others = ((2 * s.alpha * s.beta) / s.size) * xs[place] * ratios.reduce((sum, ratio) => sum + ratio, 0);
      checkValue(`dx[${place}]`, dx[place], own - others, Math.abs(own) + Math.abs(others));
    }
  });
}

function lrnCases(row: LrnRow): BenchCase[] {
  const s = lrnShape(row);
  const shape = `x=[${s.batch},${s.channels},${row.size},${row.size}] window=${s.size}`;
  const floats = s.batch * s.channels * s.plane;
  const common = { shape, layers: row.layers, flops: 0 };
  return [
    { bench: "lrnForward", ...common, bytes: 4 * 3 * floats, prepare: (engine) => prepareForward(engine, s) },
    { bench: "lrnBackward", ...common, bytes: 4 * 4 * floats, prepare: (engine) => prepareBackward(engine, s) },
  ];
}

export async function bench(settings: BenchSettings): Promise<void> {
  await runCases(readShapes<LrnRow>("lrn").flatMap(lrnCases), settings);
}

await runAlone(import.meta.url, bench);
