// What this machine multiplies at best, for profiles: the blocked product of gemm.ts on operands that stay in the first-level
// cache. All threads take part, as in any other kernel. Next layer down: gemm.ts.
//
//   scratch   | A: 8 rows of KC, all 1/KC | B: 2 packed panels, all 1 | C: 8 rows of 16 |     8 + 16 + 0.5 KB
import { gemmBlock, KC, PANEL_ROW_BYTES } from "./gemm";

const ROWS: i32 = 8;
const PANELS: i32 = 2;
const A_ROW_BYTES: usize = (<usize>KC) << 2;
const A_BYTES: usize = A_ROW_BYTES * ROWS;
const B_BYTES: usize = PANEL_ROW_BYTES * PANELS * KC;
const C_ROW_BYTES: usize = PANEL_ROW_BYTES * PANELS;

/** Argument record of peakProbe. */
@unmanaged
export class PeakProbeArgs {
  /** One float a grain. */
  y: usize;
  /** Products C += A · B of a grain. */
  products: i32;
}

/**
 * y[grain] = products, added up as that many products of which each adds exactly 1 to every element of C.
 * 2 · 8 · 16 · KC FLOPs a product. Scratch: 25,088 bytes, filled anew for each grain.
 */
export function peakProbe(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<PeakProbeArgs>(args);
  const b = scratch + A_BYTES;
  const c = b + B_BYTES;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    fillFloats(scratch, A_BYTES, 1 / <f32>KC);
    fillFloats(b, B_BYTES, 1);
    fillFloats(c, C_ROW_BYTES * ROWS, 0);
    for (let i = 0; i < s.products; i++) {
      gemmBlock(scratch, A_ROW_BYTES, b, c, C_ROW_BYTES, ROWS, PANELS, KC, true);
    }
    store<f32>(s.y + ((<usize>grain) << 2), load<f32>(c));
  }
}

function fillFloats(at: usize, bytes: usize, value: f32): void {
  const vector = f32x4.splat(value);
  for (const end = at + bytes; at < end; at += 16) v128.store(at, vector);
}
