/** Types of tiny-training.js. */
import type { EngineOptions, Tier } from "#src/portable.js";

type Library = typeof import("#src/portable.js") & Pick<typeof import("#src/engine.js"), "createEngine">;

export function trainTiny(
  library: Library,
  tier?: EngineOptions["tier"],
  threads?: number,
): Promise<{ tier: Tier; losses: number[]; weights: string }>;
export function classify(
  library: Library,
  weights: Uint8Array,
  picture: Uint8Array,
): Promise<{ label: string; pixels: string }>;
