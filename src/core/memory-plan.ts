/**
 * Which memory each value of a program gets, decided over the whole list of calls: pure functions.
 * Values that live at different times share a slot; a slot is as large as its largest value.
 */

/** A value that needs memory from call `first` to call `last`, both included. */
export interface Lifespan {
  readonly sizeBytes: number;
  readonly first: number;
  readonly last: number;
  /** Indices of others whose memory it may take over in call `first`, should they be of its size and end with that call. */
  readonly over?: readonly number[];
}

export interface SlotPlan {
  /** The slot of each lifespan, by its index. */
  readonly slotOf: readonly number[];
  readonly slotBytes: readonly number[];
}

/**
 * Gives every lifespan a slot: in order of birth, the free slot that fits best (the smallest that is large enough, else
 * the largest, which then grows); but before all that the slot of one that it may be written over. With `reuse` off every value has a slot of its own, for the step-through.
 */
export function planSlots(lifespans: readonly Lifespan[], reuse = true): SlotPlan {
  const slotOf: number[] = new Array(lifespans.length).fill(0);
  const slotBytes: number[] = [];
  /** The newest value of each slot, by index. */
  const holders: number[] = [];
  const order = lifespans.map((_, i) => i).sort((a, b) => lifespans[a].first - lifespans[b].first || a - b);
  for (const index of order) {
    const { sizeBytes, first, over = [] } = lifespans[index];
    let best = reuse ? slotToTakeOver(lifespans[index], over, lifespans, holders) : -1;
    const takesOver = best >= 0;
    for (let slot = 0; reuse && !takesOver && slot < slotBytes.length; slot++) {
      if (lifespans[holders[slot]].last >= first) continue;
      if (best < 0 || isBetter(slotBytes[slot], slotBytes[best], sizeBytes)) best = slot;
    }
    if (best < 0) {
      best = slotBytes.length;
      slotBytes.push(0);
    }
    slotBytes[best] = Math.max(slotBytes[best], sizeBytes);
    holders[best] = index;
    slotOf[index] = best;
  }
  return { slotOf, slotBytes };
}

/** The slot of a value of the same size that ends as this one begins, and that it may be written over; -1 if there is none. */
function slotToTakeOver(
  { sizeBytes, first }: Lifespan,
  over: readonly number[],
  lifespans: readonly Lifespan[],
  holders: readonly number[],
): number {
  return holders.findIndex((holder) => {
    const { last, sizeBytes: held } = lifespans[holder];
    return last === first && held === sizeBytes && over.includes(holder);
  });
}

/** Is a slot of `candidate` bytes a better place for `needed` bytes than one of `current`? */
function isBetter(candidate: number, current: number, needed: number): boolean {
  if (candidate >= needed) return current < needed || candidate < current;
  return current < needed && candidate > current;
}
