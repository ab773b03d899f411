/**
 * Which memory each value of a program gets, decided over the whole list of calls: pure functions.
 * Values that live at different times may lie in the same bytes; a value that may be written over another shares its slot.
 */
import { ONE_PIECE, type Slot, type SlotRules } from "../backend/backend.js";

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
  readonly slots: readonly Slot[];
  /** Of the memory that all slots lie in. */
  readonly sizeBytes: number;
}

/**
 * Gives every lifespan a slot, and every slot a place: the largest first, each at the lowest offset where no other lies in its time
 * (TensorFlow Lite's greedy by size). For a forward pass and a training step of VGG-16 that is as little as its worst call needs, where slots
 * that values take in turn need up to three times as much. With `reuse` off every value has memory of its own, for the step-through.
 */
export function planSlots(
  lifespans: readonly Lifespan[],
  reuse = true,
  { unitBytes, pieceBytes }: SlotRules = ONE_PIECE,
): SlotPlan {
  const { slotOf, spans } = reuse ? takeOver(lifespans) : { slotOf: lifespans.map((_, i) => i), spans: lifespans };
  const slots: Slot[] = new Array(spans.length);
  const largestFirst = spans.map((_, i) => i).sort((a, b) => spans[b].sizeBytes - spans[a].sizeBytes || a - b);
  /** The slots that have a place, by offset. */
  const placed: { readonly first: number; readonly last: number; readonly begin: number; readonly end: number }[] = [];
  let total = 0;
  for (const index of largestFirst) {
    const { sizeBytes, first, last } = spans[index];
    const units = Math.ceil(sizeBytes / unitBytes) * unitBytes;
    let begin = 0;
    for (const other of placed) {
      if (other.begin >= begin + units) break;
      const together = !reuse || (other.first <= last && first <= other.last);
      if (together && other.end > begin) begin = placeFrom(other.end, units, pieceBytes);
    }
    const end = begin + units;
    let at = placed.length;
    while (at > 0 && placed[at - 1].begin > begin) at--;
    placed.splice(at, 0, { first, last, begin, end });
    slots[index] = { offsetBytes: begin, sizeBytes };
    total = Math.max(total, end);
  }
  return { slotOf, slots, sizeBytes: total };
}

/** The first offset from `begin` on where `sizeBytes` lie as the rules want. */
function placeFrom(begin: number, sizeBytes: number, pieceBytes: number): number {
  const piece = Math.floor(begin / pieceBytes) * pieceBytes;
  // Infinity times 0 is not a number: memory in one piece.
  return Number.isNaN(piece) || begin === piece || begin + sizeBytes <= piece + pieceBytes ? begin : piece + pieceBytes;
}

/** One span for each chain of values that are written over one another, in order of birth. */
function takeOver(lifespans: readonly Lifespan[]): { slotOf: number[]; spans: Lifespan[] } {
  const slotOf: number[] = new Array(lifespans.length).fill(0);
  const spans: Lifespan[] = [];
  /** The newest value of each slot, by index. */
  const holders: number[] = [];
  const order = lifespans.map((_, i) => i).sort((a, b) => lifespans[a].first - lifespans[b].first || a - b);
  for (const index of order) {
    const { sizeBytes, first, last, over = [] } = lifespans[index];
    const before = over.find((other) => {
      const { last: end, sizeBytes: held } = lifespans[other];
      return end === first && held === sizeBytes && other !== index && holders[slotOf[other]] === other;
    });
    const slot = before === undefined ? spans.length : slotOf[before];
    spans[slot] = { sizeBytes, first: spans[slot]?.first ?? first, last };
    holders[slot] = index;
    slotOf[index] = slot;
  }
  return { slotOf, spans };
}
