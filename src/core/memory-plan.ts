/**
 * Which memory each value of a program gets, decided over the whole list of calls: pure functions.
 * Values that live at different times share a slot; a slot is as large as its largest value.
 */

/** A value that needs memory from call `first` to call `last`, both included. */
export interface Lifespan {
  readonly sizeBytes: number;
  readonly first: number;
  readonly last: number;
}

export interface SlotPlan {
  /** The slot of each lifespan, by its index. */
  readonly slotOf: readonly number[];
  readonly slotBytes: readonly number[];
}

/**
 * Gives every lifespan a slot: in order of birth, the free slot that fits best (the smallest that is large enough, else
 * the largest, which then grows). With `reuse` off every value has a slot of its own, for the step-through.
 */
export function planSlots(lifespans: readonly Lifespan[], reuse = true): SlotPlan {
  const slotOf: number[] = new Array(lifespans.length).fill(0);
  const slotBytes: number[] = [];
  const busyUntil: number[] = [];
  const order = lifespans.map((_, i) => i).sort((a, b) => lifespans[a].first - lifespans[b].first || a - b);
  for (const index of order) {
    const { sizeBytes, first, last } = lifespans[index];
    let best = -1;
    for (let slot = 0; reuse && slot < slotBytes.length; slot++) {
      if (busyUntil[slot] >= first) continue;
      if (best < 0 || isBetter(slotBytes[slot], slotBytes[best], sizeBytes)) best = slot;
    }
    if (best < 0) {
      best = slotBytes.length;
      slotBytes.push(0);
      busyUntil.push(-1);
    }
    slotBytes[best] = Math.max(slotBytes[best], sizeBytes);
    busyUntil[best] = last;
    slotOf[index] = best;
  }
  return { slotOf, slotBytes };
}

/** Is a slot of `candidate` bytes a better place for `needed` bytes than one of `current`? */
function isBetter(candidate: number, current: number, needed: number): boolean {
  if (candidate >= needed) return current < needed || candidate < current;
  return current < needed && candidate > current;
}
