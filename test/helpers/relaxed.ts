/** Relaxed SIMD for tests that compile kernels themselves: some versions of V8 have it behind a flag. */
import { setFlagsFromString } from "node:v8";
import { hasRelaxedSimd } from "#src/backend/wasm/tiers.js";

export function allowRelaxedSimd(): void {
  if (!hasRelaxedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
}
