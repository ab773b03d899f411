/**
 * The matrix product alone, C[M,N] = A[M,K] · B[K,N]: a convolution with a 1x1 kernel, which is one with A for its weight and
 * columns of B for its pixels. In the time are packing of both sides and im2col's table of offsets; there is no bias. Products of a few
 * columns go another way: those are in linear.bench.ts.
 */
import type { Conv2dShape } from "#src/backend/backend.js";
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

interface GemmRow {
  readonly layers: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

function conv2dShape({ M, N, K }: GemmRow): Conv2dShape {
  const [input, output] = [
    { inC: K, inH: 1, inW: N },
    { outC: M, outH: 1, outW: N },
  ];
  const steps = { strideH: 1, strideW: 1, padH: 0, padW: 0, dilationH: 1, dilationW: 1, groups: 1 };
  return { batch: 1, ...input, ...output, kH: 1, kW: 1, ...steps };
}

async function prepareGemm(engine: Engine, row: GemmRow): Promise<Prepared> {
  const { M, N, K } = row;
  const a = await uniform(engine, [M, K, 1, 1], "a");
  const b = await uniform(engine, [1, K, 1, N], "b");
  const record = (): Tensor => {
    const c = engine.emptyTensor([1, M, 1, N]);
    engine.record("conv2dForward", { ...conv2dShape(row), relu: false }, { x: b, weight: a, bias: null, y: c });
    return c;
  };
  return kernelRun(engine, record, async (result) => {
    const [c, as, bs] = [await result.data(), await a.data(), await b.data()];
    for (const place of samplePlaces(c.length)) {
      const [m, n] = [Math.floor(place / N), place % N];
      const sum = new ExactSum();
      for (let k = 0; k < K; k++) sum.add(as[m * K + k], bs[k * N + n]);
      checkValue(`c[${place}]`, c[place], sum.value, sum.scale);
    }
  });
}

function gemmCase(row: GemmRow): BenchCase {
  const { layers, M, N, K } = row;
  return {
    bench: "gemm",
    shape: `a=[${M},${K}] b=[${K},${N}]`,
    layers,
    flops: 2 * M * N * K,
    bytes: 4 * (M * K + K * N + M * N),
    prepare: (engine) => prepareGemm(engine, row),
  };
}

export async function bench(settings: BenchSettings): Promise<void> {
  await runCases(readShapes<GemmRow>("gemm", "gemm.json").map(gemmCase), settings);
}

await runAlone(import.meta.url, bench);
