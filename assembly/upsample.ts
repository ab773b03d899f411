// Bilinear resampling of planes (src/ops/upsample.ts has the formulas). Rows and columns are independent, so two tables say
// for each output row and column which input place it looks at (i32), and how much of it is the next place's share (f32).
//
// A grain is a block of rows of one plane: of y forward, of dx backward. Backward gathers: for a row of dx it looks for the
// rows of dy that looked at it, which are neighbours since the tables only rise. So a grain owns what it writes.

/** Argument record of both kernels. */
@unmanaged
export class UpsampleArgs {
  /** [planes, inH, inW]: x, or dx in the backward pass. */
  x: usize;
  /** [planes, outH, outW]: y, or dy. */
  y: usize;
  planes: i32;
  inH: i32;
  inW: i32;
  outH: i32;
  outW: i32;
  /** Input rows that an output row is worth, as a float32 and what it lacks. */
  stepH: f32;
  stepHRest: f32;
  stepW: f32;
  stepWRest: f32;
  shift: f32;
  /** Rows of a grain, and the number of such blocks of a plane. */
  block: i32;
  blocks: i32;
}

/** Bytes of a table entry: place, share of the next place. */
const ENTRY_BYTES: usize = 8;

/** Fills the table of `count` outputs that look at `size` inputs. */
function makeTable(table: usize, count: i32, size: i32, step: f64, shift: f64): void {
  for (let o = 0; o < count; o++) {
    const at = max<f64>(0, (<f64>o + shift) * step - shift);
    const low = min(<i32>at, size - 1);
    store<i32>(table, low);
    // At the last place both are the same: any share will do.
    store<f32>(table, low == size - 1 ? <f32>0 : <f32>(at - <f64>low), 4);
    table += ENTRY_BYTES;
  }
}

/** y = x resampled; overwrites. Grain g: rows block g % blocks of plane g / blocks. Worker scratch: both tables. */
export function upsampleForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<UpsampleArgs>(args);
  const rows = scratch;
  const columns = rows + <usize>s.outH * ENTRY_BYTES;
  makeTables(s, rows, columns);
  const inRowBytes = (<usize>s.inW) << 2;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const plane = grain / s.blocks;
    const x = s.x + <usize>plane * s.inH * inRowBytes;
    const begin = (grain % s.blocks) * s.block;
    const end = min(s.outH, begin + s.block);
    let to = s.y + ((<usize>(plane * s.outH + begin) * s.outW) << 2);
    for (let oh = begin; oh < end; oh++) {
      const row = rows + <usize>oh * ENTRY_BYTES;
      const ih = load<i32>(row);
      const lower = load<f32>(row, 4);
      const upper = <f32>1 - lower;
      const row0 = x + <usize>ih * inRowBytes;
      const row1 = ih + 1 < s.inH ? row0 + inRowBytes : row0;
      for (let ow = 0; ow < s.outW; ow++) {
        const column = columns + <usize>ow * ENTRY_BYTES;
        const iw = load<i32>(column);
        const right = load<f32>(column, 4);
        const left = <f32>1 - right;
        const at = (<usize>iw) << 2;
        const next = iw + 1 < s.inW ? at + 4 : at;
        const above = left * load<f32>(row0 + at) + right * load<f32>(row0 + next);
        const below = left * load<f32>(row1 + at) + right * load<f32>(row1 + next);
        store<f32>(to, upper * above + lower * below);
        to += 4;
      }
    }
  }
}

/**
 * dx = the transpose of upsampleForward, applied to dy; overwrites. Grain g: rows block g % blocks of plane g / blocks.
 * Sums are in double precision: columns of the rows of dy that looked at a row of dx, then along the row.
 * Worker scratch: both tables, outW float64 sums.
 */
export function upsampleBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<UpsampleArgs>(args);
  const rows = scratch;
  const columns = rows + <usize>s.outH * ENTRY_BYTES;
  const sums = columns + <usize>s.outW * ENTRY_BYTES;
  makeTables(s, rows, columns);
  const outRowBytes = (<usize>s.outW) << 2;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const plane = grain / s.blocks;
    const dy = s.y + <usize>plane * s.outH * outRowBytes;
    const begin = (grain % s.blocks) * s.block;
    const end = min(s.inH, begin + s.block);
    // The first output row that looks at `begin`: from itself or from the row above.
    let first = 0;
    while (first < s.outH && load<i32>(rows + <usize>first * ENTRY_BYTES) < begin - 1) first++;
    for (let ih = begin; ih < end; ih++) {
      while (first < s.outH && load<i32>(rows + <usize>first * ENTRY_BYTES) < ih - 1) first++;
      memory.fill(sums, 0, (<usize>s.outW) << 3);
      for (let oh = first; oh < s.outH; oh++) {
        const place = load<i32>(rows + <usize>oh * ENTRY_BYTES);
        if (place > ih) break;
        const weight = weightOf(rows + <usize>oh * ENTRY_BYTES, ih);
        addRow(sums, dy + <usize>oh * outRowBytes, weight, s.outW);
      }
      gatherColumns(s, sums, columns, s.x + ((<usize>(plane * s.inH + ih) * s.inW) << 2));
    }
  }
}

function makeTables(s: UpsampleArgs, rows: usize, columns: usize): void {
  makeTable(rows, s.outH, s.inH, <f64>s.stepH + <f64>s.stepHRest, <f64>s.shift);
  makeTable(columns, s.outW, s.inW, <f64>s.stepW + <f64>s.stepWRest, <f64>s.shift);
}

/** The weight of input `place` in the output of a table entry, which looks at it or at the place before. */
function weightOf(entry: usize, place: i32): f64 {
  const next = load<f32>(entry, 4);
  return load<i32>(entry) == place ? <f64>(<f32>1 - next) : <f64>next;
}

/** sums += weight · a row of dy. */
function addRow(sums: usize, from: usize, weight: f64, count: i32): void {
  for (let i = 0; i < count; i++) {
    store<f64>(sums, load<f64>(sums) + weight * <f64>load<f32>(from));
    sums += 8;
    from += 4;
  }
}

/** One row of dx: for each column the sums of the output columns that looked at it, in order. */
function gatherColumns(s: UpsampleArgs, sums: usize, columns: usize, to: usize): void {
  let first = 0;
  for (let iw = 0; iw < s.inW; iw++) {
    while (first < s.outW && load<i32>(columns + <usize>first * ENTRY_BYTES) < iw - 1) first++;
    let total: f64 = 0;
    for (let ow = first; ow < s.outW; ow++) {
      const entry = columns + <usize>ow * ENTRY_BYTES;
      if (load<i32>(entry) > iw) break;
      total += weightOf(entry, iw) * load<f64>(sums + ((<usize>ow) << 3));
    }
    store<f32>(to, <f32>total);
    to += 4;
  }
}
