/** The backends that tests of operations run on. */
import type { EngineOptions } from "#src/engine.js";

/** Above 2 GiB addresses are negative as 32-bit integers. Whole pages of 64 KiB. */
const ABOVE_2_GIB = Math.round((2.2 * 2 ** 30) / 65536) * 65536;

export interface TestedBackend {
  readonly name: string;
  /** For the heads of tables. */
  readonly short: string;
  readonly options: EngineOptions;
}

export const BACKENDS: readonly TestedBackend[] = [
  { name: "wasm 1 thread", short: "1", options: { threads: 1 } },
  { name: "wasm 2 threads", short: "2", options: { threads: 2 } },
  { name: "wasm 1 thread above 2 GiB", short: "1, high", options: { threads: 1, arenaBaseBytes: ABOVE_2_GIB } },
  { name: "wasm 2 threads above 2 GiB", short: "2, high", options: { threads: 2, arenaBaseBytes: ABOVE_2_GIB } },
  { name: "wasm im2col", short: "im2col", options: { threads: 1, convAlgorithm: "im2col" } },
  { name: "wasm winograd", short: "winograd", options: { threads: 1, convAlgorithm: "winograd" } },
  {
    name: "wasm winograd 2 threads above 2 GiB",
    short: "wino 2, high",
    options: { threads: 2, convAlgorithm: "winograd", arenaBaseBytes: ABOVE_2_GIB },
  },
  { name: "wasm relaxed 2 threads", short: "relaxed", options: { threads: 2, tier: "relaxed" } },
  { name: "reference float32", short: "ref f32", options: { backend: "reference", precision: "float32" } },
  { name: "reference float64", short: "ref f64", options: { backend: "reference", precision: "float64" } },
];
