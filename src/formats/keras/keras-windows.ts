/**
 * TensorFlow's windows in the engine's words: what "same" padding adds to each side, and which padding and rounding give the same
 * pooling windows. Pure arithmetic on one side or two; layers are keras-layers.ts's.
 */

/** [height, width]; null is not known. */
export type Sides = readonly [number | null, number | null];
/** For both directions. */
export type Two = readonly [number, number];

/** Zeros before and after along one side. */
export interface Around {
  readonly before: number;
  readonly after: number;
}

/** Places that a dilated kernel spans. */
export function span(kernel: number, dilation: number): number {
  return dilation * (kernel - 1) + 1;
}

/** How many windows there are on a side; null for a side that is not known. */
export function windowCount(side: number | null, size: number, stride: number, same: boolean): number | null {
  if (side === null) return null;
  return same ? Math.ceil(side / stride) : Math.floor((side - size) / stride) + 1;
}

/** What "same" adds: as little as needed, the odd one behind. null where it depends on a side that is not known. */
export function sameAround(side: number | null, size: number, stride: number): Around | null {
  if (side === null && stride > 1 && size > 1) return null;
  const total =
    side === null || stride === 1 ? size - 1 : Math.max(0, (Math.ceil(side / stride) - 1) * stride + size - side);
  // A window that is no larger than its step needs zeros at the end alone, if any.
  const needed = size === 1 ? 0 : total;
  return { before: Math.floor(needed / 2), after: Math.ceil(needed / 2) };
}

/** Padding and rounding of a pooling layer of the engine. */
export interface PoolWindow {
  readonly padding: Two;
  readonly ceilMode: boolean;
}

/**
 * A pooling layer with the windows of "same": windows begin where they do and there are as many; what is outside of the picture never
 * counts, so it does not matter how much padding there is behind. null where no such layer exists, or a side is not known.
 */
export function samePool(sides: Sides, size: Two, stride: Two): PoolWindow | null {
  const padding: number[] = [];
  const modes = new Set([false, true]);
  for (const axis of [0, 1] as const) {
    const [side, k, s] = [sides[axis], size[axis], stride[axis]];
    if (side === null && k === s && k <= 2) {
      // Whatever the side: nothing before it, and the last window may hang over.
      padding.push(0);
      if (k === 2) modes.delete(false);
      continue;
    }
    const around = sameAround(side, k, s);
    if (!around) return null;
    padding.push(around.before);
    for (const ceilMode of [...modes]) if (!fits(side, around, k, s, ceilMode)) modes.delete(ceilMode);
  }
  const [ceilMode] = modes;
  return ceilMode === undefined ? null : { padding: [padding[0], padding[1]], ceilMode };
}

/** Whether the engine's layer has as many windows as "same". */
function fits(
  side: number | null,
  { before, after }: Around,
  size: number,
  stride: number,
  ceilMode: boolean,
): boolean {
  if (side === null) return before === after;
  const steps = (side + 2 * before - size) / stride;
  const count = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
  const kept = ceilMode && (count - 1) * stride >= side + before ? count - 1 : count;
  return kept === Math.ceil(side / stride);
}
