/** Relaxed SIMD for tests that compile kernels themselves: some versions of V8 have it behind a flag. */
import { setFlagsFromString } from "node:v8";
import { defaultTier, hasRelaxedSimd } from "#src/backend/wasm/tiers.js";

export function allowRelaxedSimd(): void {
  // What the default is does not depend on what tests do.
  defaultTier();
  if (!hasRelaxedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
}
