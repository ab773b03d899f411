/** The backends that tests of operations run on. */
import type { EngineOptions } from "#src/engine.js";
import { isThorough, onGpu } from "./webgpu.js";

/** Above 2 GiB addresses are negative as 32-bit integers. Whole pages of 64 KiB. */
const ABOVE_2_GIB = Math.round((2.2 * 2 ** 30) / 65536) * 65536;

export interface TestedBackend {
  readonly name: string;
  /** For the heads of tables. */
  readonly short: string;
  readonly options: EngineOptions;
  /** Convolves in tiles of 4x4 or 6x6, whose rounding errors are larger. */
  readonly largeTiles?: boolean;
}

const CPU: readonly TestedBackend[] = [
  { name: "wasm 1 thread", short: "1", options: { threads: 1 } },
  { name: "wasm 2 threads", short: "2", options: { threads: 2 } },
  { name: "wasm 1 thread above 2 GiB", short: "1, high", options: { threads: 1, arenaBaseBytes: ABOVE_2_GIB } },
  { name: "wasm 2 threads above 2 GiB", short: "2, high", options: { threads: 2, arenaBaseBytes: ABOVE_2_GIB } },
  { name: "wasm im2col", short: "im2col", options: { threads: 1, convAlgorithm: "im2col" } },
  { name: "wasm exact", short: "exact", options: { threads: 1, convAlgorithm: "exact" } },
  { name: "wasm winograd2", short: "wino 2", options: { threads: 1, convAlgorithm: "winograd2" } },
  { name: "wasm winograd4", short: "wino 4", options: { threads: 1, convAlgorithm: "winograd4" }, largeTiles: true },
  { name: "wasm winograd6", short: "wino 6", options: { threads: 1, convAlgorithm: "winograd6" }, largeTiles: true },
  {
    name: "wasm winograd4 2 threads above 2 GiB",
    short: "wino 4, high",
    options: { threads: 2, convAlgorithm: "winograd4", arenaBaseBytes: ABOVE_2_GIB },
    largeTiles: true,
  },
  { name: "wasm relaxed 2 threads", short: "relaxed", options: { threads: 2, tier: "relaxed" } },
  { name: "reference float32", short: "ref f32", options: { backend: "reference", precision: "float32" } },
  { name: "reference float64", short: "ref f64", options: { backend: "reference", precision: "float64" } },
];

/** Few, since software drivers are slow: test/ops/against-reference.test.ts has the other algorithms. */
const WEBGPU: readonly TestedBackend[] = [
  { name: "webgpu", short: "webgpu", options: { backend: "webgpu" } },
  {
    name: "webgpu exact, default limits",
    short: "exact",
    options: { backend: "webgpu", convAlgorithm: "exact", gpuLimits: "default" },
  },
];

/** With TEST_BACKEND=webgpu the GPU alone; with default limits where all is asked for. */
export const BACKENDS: readonly TestedBackend[] = onGpu() ? WEBGPU.slice(0, isThorough() ? undefined : 1) : CPU;
