/** Types of tiny-training.js. */
type Library = typeof import("#src/portable.js") & Pick<typeof import("#src/engine.js"), "createEngine">;

export function trainTiny(library: Library): Promise<{ threads: number; losses: number[]; weights: string }>;
export function classify(
  library: Library,
  weights: Uint8Array,
  picture: Uint8Array,
): Promise<{ label: string; pixels: string }>;
