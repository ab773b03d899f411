// The matrix product on blocks that are already in cache: C[m×n] (+)= A[m×k] · B[k×n].
// Callers (conv2d.ts, linear.ts) cut their problem into blocks, pack B, and say where C goes.
// Next layer down: gemm-micro.ts (the register tile).
//
//   A  row-major, rows aRowBytes apart, k contiguous: weights are used in place, without packing
//   B  packed panels of NR = 8 columns, one after the other:   C  row-major tile, cRowBytes apart,
//      panel 0: k rows of 8 floats | panel 1: … | …               room for panels * 8 columns
//
// Bits: an element of C is one chain over k inside a K block (at most KC long), and the blocks are added in order.
// That makes a two-level sum whose order depends on nothing but K. KC is part of the result: never tune it.
import { gemmMicro1x8, gemmMicro4x8, gemmMicro4x16 } from "./gemm-micro";
import { isWide } from "./simd";

/** Columns of a packed panel of B. */
export const NR: i32 = 8;

/** Bytes of one row of a packed panel. */
export const PANEL_ROW_BYTES: usize = 32;

/** Terms of a sum that one block adds up; every driver cuts K at multiples of it. */
export const KC: i32 = 256;

/**
 * C[m × 8·panels] = (accumulate ? C : 0) + A[m×k] · B.
 * Two panels at a time where registers hold 256 bits: the same bits. One core of a Zen 4, turbo, GFLOP/s without and with: conv2d x=[1,128,28,28]
 * w=[128,128,5,5] 46 and 86, linear x=[32,25088] w=[4096,25088] 56 and 91.
 * 2·m·k·8·panels FLOPs. k ≤ KC keeps a panel of B (8 KB) in the first-level cache while the rows of A stream past.
 */
export function gemmBlock(
  a: usize,
  aRowBytes: usize,
  b: usize,
  c: usize,
  cRowBytes: usize,
  m: i32,
  panels: i32,
  k: i32,
  accumulate: bool,
): void {
  const panelBytes = <usize>k * PANEL_ROW_BYTES;
  const whole = m >> 2;
  let panel = 0;
  if (isWide()) {
    for (; panel + 2 <= panels; panel += 2) {
      let aRow = a;
      let cTile = c + <usize>panel * PANEL_ROW_BYTES;
      for (let tile = 0; tile < whole; tile++) {
        gemmMicro4x16(aRow, aRowBytes, b, b + panelBytes, cTile, cRowBytes, k, accumulate);
        aRow += aRowBytes * 4;
        cTile += cRowBytes * 4;
      }
      for (let row = whole * 4; row < m; row++) {
        gemmMicro1x8(aRow, b, cTile, k, accumulate);
        gemmMicro1x8(aRow, b + panelBytes, cTile + PANEL_ROW_BYTES, k, accumulate);
        aRow += aRowBytes;
        cTile += cRowBytes;
      }
      b += panelBytes * 2;
    }
  }
  for (; panel < panels; panel++) {
    let aRow = a;
    let cTile = c + <usize>panel * PANEL_ROW_BYTES;
    let row = 0;
    for (; row + 4 <= m; row += 4) {
      gemmMicro4x8(aRow, aRowBytes, b, cTile, cRowBytes, k, accumulate);
      aRow += aRowBytes * 4;
      cTile += cRowBytes * 4;
    }
    for (; row < m; row++) {
      gemmMicro1x8(aRow, b, cTile, k, accumulate);
      aRow += aRowBytes;
      cTile += cRowBytes;
    }
    b += panelBytes;
  }
}

/**
 * Packs k rows of a row-major matrix (rows `rowBytes` apart) into panels of 8 columns; columns beyond `columns` become 0.
 * `packed` must have room for k · 8 · ceil(columns / 8) floats.
 */
export function packRows(packed: usize, source: usize, rowBytes: usize, k: i32, columns: i32): void {
  let column = 0;
  for (; column + NR <= columns; column += NR) {
    let from = source + ((<usize>column) << 2);
    for (let row = 0; row < k; row++) {
      v128.store(packed, v128.load(from));
      v128.store(packed, v128.load(from, 16), 16);
      packed += PANEL_ROW_BYTES;
      from += rowBytes;
    }
  }
  if (column == columns) return;
  let from = source + ((<usize>column) << 2);
  const rest = columns - column;
  for (let row = 0; row < k; row++) {
    for (let lane = 0; lane < NR; lane++) {
      store<f32>(packed + ((<usize>lane) << 2), lane < rest ? load<f32>(from + ((<usize>lane) << 2)) : <f32>0);
    }
    packed += PANEL_ROW_BYTES;
    from += rowBytes;
  }
}

/**
 * Packs the transpose: row `column` of the source (columns of B are rows of the source, `rowBytes` apart, k contiguous)
 * becomes a column of a panel; missing columns become 0. Same room as packRows.
 */
export function packTransposed(packed: usize, source: usize, rowBytes: usize, k: i32, columns: i32): void {
  for (let column = 0; column < columns; column += NR) {
    const rest = min(NR, columns - column);
    const from = source + <usize>column * rowBytes;
    if (rest == NR) {
      packed = packTransposed8(packed, from, rowBytes, k);
    } else {
      for (let row = 0; row < k; row++) {
        for (let lane = 0; lane < NR; lane++) {
          const value = lane < rest ? load<f32>(from + <usize>lane * rowBytes + ((<usize>row) << 2)) : <f32>0;
          store<f32>(packed + ((<usize>lane) << 2), value);
        }
        packed += PANEL_ROW_BYTES;
      }
    }
  }
}

/** One full panel of packTransposed: 4×4 blocks are transposed in registers. Returns the address behind the panel. */
function packTransposed8(packed: usize, source: usize, rowBytes: usize, k: i32): usize {
  let row = 0;
  for (; row + 4 <= k; row += 4) {
    transposeStore4x4(packed, source, rowBytes);
    transposeStore4x4(packed + 16, source + rowBytes * 4, rowBytes);
    packed += PANEL_ROW_BYTES * 4;
    source += 16;
  }
  for (; row < k; row++) {
    for (let lane = 0; lane < NR; lane++) {
      store<f32>(packed + ((<usize>lane) << 2), load<f32>(source + <usize>lane * rowBytes));
    }
    packed += PANEL_ROW_BYTES;
    source += 4;
  }
  return packed;
}

/** Reads four rows of four floats (`rowBytes` apart) and stores the transpose as four rows one panel row apart. */
export function transposeStore4x4(to: usize, from: usize, rowBytes: usize): void {
  transposeStoreVectors(
    to,
    v128.load(from),
    v128.load(from + rowBytes),
    v128.load(from + rowBytes * 2),
    v128.load(from + rowBytes * 3),
  );
}

/** Stores the transpose of the 4×4 block whose rows are r0..r3, as four rows one panel row (32 bytes) apart. */
export function transposeStoreVectors(to: usize, r0: v128, r1: v128, r2: v128, r3: v128): void {
  const lo01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const hi01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const lo23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const hi23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(lo01, lo23, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(lo01, lo23, 2, 3, 6, 7), 32);
  v128.store(to, v128.shuffle<f32>(hi01, hi23, 0, 1, 4, 5), 64);
  v128.store(to, v128.shuffle<f32>(hi01, hi23, 2, 3, 6, 7), 96);
}
