/**
 * Tensors whose elements are not in the order of their flat array: transposed and expanded ones. A pure walk over the storage from front
 * to back, so that it can be read in chunks, that tells where each element belongs. pytorch.ts reads.
 *
 * ```text
 * shape [2, 3], stride [1, 2]:   storage a b c d e f   flat array a c e b d f
 * runs:                          from 0 by 1: 2 elements, to 0 by 3;   from 2 … to 1 by 3;   from 4 … to 2 by 3
 * ```
 */

/** Elements of a tensor, by their places in a storage. */
export interface Strides {
  readonly shape: readonly number[];
  readonly stride: readonly number[];
  readonly offset: number;
}

/** `count` elements of the storage at `from`, `from + fromStep`, …, which belong to the flat array at `to`, `to + toStep`, …. */
export interface Run {
  readonly from: number;
  readonly fromStep: number;
  readonly to: number;
  readonly toStep: number;
  readonly count: number;
}

interface Axis {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** Whether the flat array lies in the storage as it is. */
export function isContiguous({ shape, stride }: Strides): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && stride[axis] !== expected) return shape.includes(0);
    expected *= shape[axis];
  }
  return true;
}

/**
 * The runs that hold elements [begin, end) of the flat array, and perhaps others beside them, from the storage's front to its back; null where
 * the tensor overlaps itself so that there is no such order.
 */
export function storageRuns(strides: Strides, begin: number, end: number): Iterable<Run> | null {
  const axes = sortedAxes(strides, begin, end);
  if (!axes) return null;
  return walk(axes.list, axes.from, axes.to);
}

function sortedAxes(
  { shape, stride, offset }: Strides,
  begin: number,
  end: number,
): { list: Axis[]; from: number; to: number } | null {
  let from = offset;
  let to = 0;
  let step = 1;
  const list: Axis[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    let size = shape[axis];
    if (axis === 0 && size > 1) {
      // Of the outermost axis, only what is wanted.
      const first = Math.floor(begin / step);
      from += first * stride[0];
      to += first * step;
      size = Math.ceil(end / step) - first;
    }
    if (size !== 1) list.push({ size, from: stride[axis], to: step });
    step *= shape[axis];
  }
  list.sort((a, b) => b.from - a.from || b.to - a.to);
  // Each step along an axis must lead behind all that the axes inside it reach.
  let reach = 0;
  for (const { size, from: stride } of list.toReversed()) {
    if (stride < reach) return null;
    reach += (size - 1) * stride;
  }
  return { list, from, to };
}

function* walk(axes: readonly Axis[], from: number, to: number): Generator<Run> {
  const inner = axes.at(-1) ?? { size: 1, from: 1, to: 1 };
  const outer = axes.slice(0, -1);
  if (axes.some(({ size }) => size === 0)) return;
  const place = outer.map(() => 0);
  for (;;) {
    yield { from, fromStep: inner.from, to, toStep: inner.to, count: inner.size };
    let axis = outer.length - 1;
    for (; axis >= 0; axis--) {
      from += outer[axis].from;
      to += outer[axis].to;
      if (++place[axis] < outer[axis].size) break;
      from -= outer[axis].from * outer[axis].size;
      to -= outer[axis].to * outer[axis].size;
      place[axis] = 0;
    }
    if (axis < 0) return;
  }
}
