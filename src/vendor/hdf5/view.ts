/**
 * What stands in for DataView in the bundle of jsfive (scripts/build.js): reads from bytes in memory or from a file of which only the pages
 * are there that were asked for, and counts each access, so that a hostile file cannot make the parser run or fill the memory without end.
 */

/** Bytes of a file, some of which are not there yet: their access throws. */
export interface PagedFile {
  /** A view that holds these bytes, and where in it they begin. */
  locate(offset: number, sizeBytes: number): readonly [view: DataView, at: number];
  /** Bytes as ArrayBuffer.slice gives them. */
  slice(begin: number, end: number): ArrayBuffer;
}

/** What is thrown when the budget is used up. */
export class OverBudget extends Error {}

/** Bytes of a buffer whose search costs as much as one access. */
const BYTES_PER_ACCESS = 4096;

/** Without end while the parser's module is loaded, which reads a little. */
let budget = Number.POSITIVE_INFINITY;

/** Sets how many accesses may follow. */
export function setBudget(accesses: number): void {
  budget = accesses;
}

/** How many accesses are left. */
export function budgetLeft(): number {
  return budget;
}

/** Counts accesses. @throws OverBudget */
export function spend(accesses: number): void {
  budget -= accesses;
  if (budget < 0) throw new OverBudget("too many accesses");
}

const NativeDataView = globalThis.DataView;

/** The part of DataView that the parser uses. */
export class PagedView {
  readonly #whole: DataView | null;

  constructor(
    readonly buffer: ArrayBuffer | PagedFile,
    begin = 0,
  ) {
    this.#whole = buffer instanceof ArrayBuffer ? new NativeDataView(buffer, begin) : null;
    spend(1 + (buffer instanceof ArrayBuffer ? buffer.byteLength / BYTES_PER_ACCESS : 0));
  }

  getUint8(at: number): number {
    return this.#at(at, 1, (view, offset) => view.getUint8(offset));
  }

  getInt8(at: number): number {
    return this.#at(at, 1, (view, offset) => view.getInt8(offset));
  }

  getUint16(at: number, little = false): number {
    return this.#at(at, 2, (view, offset) => view.getUint16(offset, little));
  }

  getInt16(at: number, little = false): number {
    return this.#at(at, 2, (view, offset) => view.getInt16(offset, little));
  }

  getUint32(at: number, little = false): number {
    return this.#at(at, 4, (view, offset) => view.getUint32(offset, little));
  }

  getInt32(at: number, little = false): number {
    return this.#at(at, 4, (view, offset) => view.getInt32(offset, little));
  }

  getFloat32(at: number, little = false): number {
    return this.#at(at, 4, (view, offset) => view.getFloat32(offset, little));
  }

  getFloat64(at: number, little = false): number {
    return this.#at(at, 8, (view, offset) => view.getFloat64(offset, little));
  }

  #at(at: number, sizeBytes: number, get: (view: DataView, offset: number) => number): number {
    spend(1);
    if (this.#whole) return get(this.#whole, at);
    const { buffer } = this;
    if (buffer instanceof ArrayBuffer) throw new TypeError("a buffer without a view");
    const [view, offset] = buffer.locate(at, sizeBytes);
    return get(view, offset);
  }
}
