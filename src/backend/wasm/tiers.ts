/**
 * The tiers of the kernels, and which of them a process can run:
 *
 *   plain     multiply, then add, each rounded: the same bits everywhere
 *   relaxed   fused multiply-add where the machine has it: other bits than plain, fewer instructions
 *   turbo     relaxed, with V8's experimental pass that joins pairs of 128-bit vectors into 256 bits (AVX2): the bits of relaxed
 *
 * WebAssembly.validate tells whether relaxed SIMD is there; V8 before 11.4 (Node 20) has it behind a flag. Wide vectors cannot be
 * asked for: Node's version and the processor decide, and self-check.ts compares the bits.
 */
import { UsageError } from "../../core/errors.js";
import type { Tier } from "../backend.js";
import type { Machine, V8Host, WasmHost } from "./host.js";

/** What createEngine's `tier` takes. */
export type TierChoice = "auto" | Tier;

const RELAXED_FLAG = "--experimental-wasm-relaxed-simd";
const WIDE_FLAG = "--experimental-wasm-revectorize";
/** In Node 22 the flag is there, but joins nothing. */
const LEAST_NODE = 24;
/** What 256-bit fused arithmetic takes. */
const CPU_FLAGS = ["avx2", "fma"];

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

/** Before this file has set a flag. */
let relaxedByDefault: boolean | null = null;

/** The tier of `auto`: a function of what runs the program, not of the engines that were made before. */
export function defaultTier(): Tier {
  relaxedByDefault ??= hasRelaxedSimd();
  return relaxedByDefault ? "relaxed" : "plain";
}

/** Makes relaxed SIMD possible where a flag does that; whether it is. */
async function allowRelaxedSimd(v8: V8Host | null): Promise<boolean> {
  defaultTier();
  // Only where it is needed: where relaxed SIMD is the default, setting its flag prints a warning.
  if (!hasRelaxedSimd()) await v8?.setFlag(RELAXED_FLAG);
  return hasRelaxedSimd();
}

/** Why there are no wide vectors on a machine; null where nothing is known against them. */
export function wideObstacle({ nodeMajor, arch, cpuFlags }: Machine): string | null {
  if (nodeMajor < LEAST_NODE) return `it needs Node ${LEAST_NODE} or later, this is ${nodeMajor}`;
  if (arch !== "x64") return `it needs an x86-64 processor, this is ${arch}`;
  const missing = CPU_FLAGS.find((flag) => cpuFlags !== null && !cpuFlags.has(flag));
  return missing === undefined ? null : `the processor has no ${missing.toUpperCase()}`;
}

async function obstacleOf(v8: V8Host | null): Promise<string | null> {
  return v8 === null ? "it needs a flag that only code in Node can set" : wideObstacle(await v8.machine());
}

/**
 * The tier that runs, made possible where a flag of V8 does that.
 * @throws UsageError where the tier that is asked for cannot run here.
 */
export async function enterTier(choice: TierChoice, { v8 }: WasmHost): Promise<Tier> {
  if (choice === "auto") return defaultTier();
  if (choice === "plain") return choice;
  const obstacle = choice === "turbo" ? await obstacleOf(v8) : null;
  if (obstacle !== null) {
    throw new UsageError(
      `wasm: the turbo tier cannot run here: ${obstacle} (tier turbo). Use tier relaxed, which gives the same bits, or plain.`,
    );
  }
  if (!(await allowRelaxedSimd(v8))) {
    throw new UsageError(
      `wasm: the ${choice} tier cannot run here: WebAssembly has no relaxed SIMD (tier ${choice}). Use tier plain.`,
    );
  }
  if (choice === "turbo") await v8?.setFlag(WIDE_FLAG);
  return choice;
}

/** All tiers that could run here. Sets no flag that changes how code is compiled. */
export async function possibleTiers({ v8 }: WasmHost): Promise<Tier[]> {
  const tiers: Tier[] = ["plain"];
  if (await allowRelaxedSimd(v8)) {
    tiers.push("relaxed");
    if ((await obstacleOf(v8)) === null) tiers.push("turbo");
  }
  return tiers;
}
