/**
 * The tiers of the kernels, and which of them a process can run:
 *
 *   plain     multiply, then add, each rounded: the same bits everywhere
 *   relaxed   fused multiply-add where the machine has it: other bits than plain, fewer instructions
 *   turbo     relaxed, with V8's experimental pass that joins pairs of 128-bit vectors into 256 bits (AVX2): the bits of relaxed
 *
 * WebAssembly.validate tells whether relaxed SIMD is there; some versions of V8 have it behind a flag, which can be set from code.
 */
import { UsageError } from "../../core/errors.js";
import type { Tier } from "../backend.js";
import type { WasmHost } from "./host.js";

/** What createEngine's `tier` takes. */
export type TierChoice = "auto" | Tier;

/** A module whose only function uses f32x4.relaxed_madd. */
const RELAXED_PROBE = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  // type 0: () -> v128; function 0 has it
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b, 0x03, 0x02, 0x01, 0x00],
  // code: three times i32.const 0, i8x16.splat; f32x4.relaxed_madd; end
  ...[0x0a, 0x13, 0x01, 0x11, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f],
  ...[0xfd, 0x85, 0x02, 0x0b],
);

/** Whether modules with relaxed SIMD compile here. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(RELAXED_PROBE);
}

/**
 * The tier that runs, made possible where a flag of V8 does that.
 * @throws UsageError where the tier that is asked for cannot run here.
 */
export async function enterTier(choice: TierChoice, host: WasmHost): Promise<Tier> {
  if (choice === "auto" || choice === "plain") return "plain";
  // Asked for only where it is needed: where relaxed SIMD is the default, setting its flag prints a warning.
  if (!hasRelaxedSimd()) await host.setV8Flag?.("--experimental-wasm-relaxed-simd");
  if (!hasRelaxedSimd()) {
    throw new UsageError(`wasm: relaxed SIMD is missing here (tier ${choice}). Use tier auto or plain.`);
  }
  if (choice === "turbo") await host.setV8Flag?.("--experimental-wasm-revectorize");
  return choice;
}
