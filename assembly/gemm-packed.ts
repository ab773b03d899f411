// Matrix products of which both sides are packed, as Winograd's transforms store them: C (+)= A · B.
// Next layer down: gemm-micro-packed.ts (the register tiles), which shows the two forms of A.
//
//   A  groups of four rows, groupBytes apart, k · 16 bytes each
//   B  panels of columns, panelBytes apart: k rows of packedColumns() floats          C  row-major, cRowBytes apart, whole panels wide
//
// B is read from its first byte to its last, once: where it comes from main memory that is what counts. Sums are cut at multiples of
// KC, as in gemm.ts. Any k.
import { KC } from "./gemm";
import { gemmMicroColumns4x8, gemmMicroColumns4x16, gemmMicroRows4x8, gemmMicroRows4x16 } from "./gemm-micro-packed";
import { isWide } from "./simd";

/** Columns of a panel: what the register tile multiplies at a time. */
export function packedColumns(): i32 {
  return isWide() ? 16 : 8;
}

/** Bytes of one row of a panel. */
export function packedRowBytes(): usize {
  return isWide() ? 64 : 32;
}

/** C[4·groups × packedColumns() · panels] = A·B, A in the form Rows. */
export function gemmPackedRows(
  a: usize,
  groupBytes: usize,
  b: usize,
  panelBytes: usize,
  c: usize,
  cRowBytes: usize,
  groups: i32,
  panels: i32,
  k: i32,
): void {
  const rowBytes = packedRowBytes();
  for (let panel = 0; panel < panels; panel++) {
    for (let k0 = 0; k0 < k; k0 += KC) {
      const kBlock = min(KC, k - k0);
      const bBlock = b + <usize>k0 * rowBytes;
      let aGroup = a + ((<usize>k0) << 4);
      let cTile = c;
      for (let group = 0; group < groups; group++) {
        if (isWide()) gemmMicroRows4x16(aGroup, bBlock, cTile, cRowBytes, kBlock, k0 > 0);
        else gemmMicroRows4x8(aGroup, bBlock, cTile, cRowBytes, kBlock, k0 > 0);
        aGroup += groupBytes;
        cTile += cRowBytes * 4;
      }
    }
    b += panelBytes;
    c += rowBytes;
  }
}

/** C = (accumulate ? C : 0) + A·B, the same with A in the form Columns. */
export function gemmPackedColumns(
  a: usize,
  groupBytes: usize,
  b: usize,
  panelBytes: usize,
  c: usize,
  cRowBytes: usize,
  groups: i32,
  panels: i32,
  k: i32,
  accumulate: bool,
): void {
  const rowBytes = packedRowBytes();
  for (let panel = 0; panel < panels; panel++) {
    for (let k0 = 0; k0 < k; k0 += KC) {
      const kBlock = min(KC, k - k0);
      const bBlock = b + <usize>k0 * rowBytes;
      let aGroup = a + ((<usize>k0) << 4);
      let cTile = c;
      for (let group = 0; group < groups; group++) {
        if (isWide()) gemmMicroColumns4x16(aGroup, bBlock, cTile, cRowBytes, kBlock, k0 > 0 || accumulate);
        else gemmMicroColumns4x8(aGroup, bBlock, cTile, cRowBytes, kBlock, k0 > 0 || accumulate);
        aGroup += groupBytes;
        cTile += cRowBytes * 4;
      }
    }
    b += panelBytes;
    c += rowBytes;
  }
}
