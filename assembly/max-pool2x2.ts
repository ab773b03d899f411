// Max pooling by 2x2 windows side by side (stride 2, no padding), VGG's pools: four windows at a time, and the same winners
// and bits as the general way (pool2d.ts), which does what is left: windows over the border, fewer than four in a row.
//
//   row 2·oh       | p0 p1 | p0 p1 | p0 p1 | p0 p1 |      p0, p1, … hold the same place of four windows
//   row 2·oh + 1   | p2 p3 | p2 p3 | p2 p3 | p2 p3 |

/**
 * The first `count` outputs of a row, count >= 4; `x` is the upper of the two input rows, `winners` 0 where they are not
 * wanted. The last four may overlap those before: they are computed twice.
 */
export function maxOfPairs(x: usize, rowBytes: usize, y: usize, winners: usize, count: i32): void {
  for (let ow = 0; ow < count; ow += 4) {
    if (ow + 4 > count) ow = count - 4;
    const upper = x + ((<usize>ow) << 3);
    const u0 = v128.load(upper);
    const u1 = v128.load(upper, 16);
    const l0 = v128.load(upper + rowBytes);
    const l1 = v128.load(upper + rowBytes, 16);
    const p0 = v128.shuffle<f32>(u0, u1, 0, 2, 4, 6);
    const p1 = v128.shuffle<f32>(u0, u1, 1, 3, 5, 7);
    const p2 = v128.shuffle<f32>(l0, l1, 0, 2, 4, 6);
    const p3 = v128.shuffle<f32>(l0, l1, 1, 3, 5, 7);
    // pmax keeps its first operand where the second is not larger: the first of equals wins, a NaN would not.
    let top = f32x4.pmax(p0, p1);
    let low = f32x4.pmax(p2, p3);
    let isRight = f32x4.gt(p1, p0);
    let isLowRight = f32x4.gt(p3, p2);
    let isLow = f32x4.gt(low, top);
    // A NaN makes the sum NaN; that infinities do too costs nothing but time.
    const sum = f32x4.add(f32x4.add(u0, u1), f32x4.add(l0, l1));
    if (!i32x4.all_true(f32x4.eq(sum, sum))) {
      isRight = v128.or(isRight, f32x4.ne(p1, p1));
      isLowRight = v128.or(isLowRight, f32x4.ne(p3, p3));
      top = v128.bitselect(p1, p0, isRight);
      low = v128.bitselect(p3, p2, isLowRight);
      isLow = v128.or(f32x4.gt(low, top), f32x4.ne(low, low));
    }
    v128.store(y + ((<usize>ow) << 2), v128.bitselect(low, top, isLow));
    if (winners) {
      // 2·[in the lower row] + [in its row on the right]; comparisons give 0 or −1.
      const right = v128.bitselect(isLowRight, isRight, isLow);
      const winner = i32x4.sub(i32x4.splat(0), i32x4.add(i32x4.add(isLow, isLow), right));
      const halfWords = i16x8.narrow_i32x4_s(winner, winner);
      v128.store32_lane(winners + ow, i8x16.narrow_i16x8_u(halfWords, halfWords), 0);
    }
  }
}

/** Writes the 2x2 windows of `dx` that belong to the first `count` outputs of a row, count >= 4: dy at the winner, 0 elsewhere. */
export function spreadPairs(dx: usize, rowBytes: usize, dy: usize, winners: usize, count: i32): void {
  const zero = f32x4.splat(0);
  for (let ow = 0; ow < count; ow += 4) {
    if (ow + 4 > count) ow = count - 4;
    // Added to 0 as where windows overlap: −0 becomes 0.
    const value = f32x4.add(zero, v128.load(dy + ((<usize>ow) << 2)));
    const winner = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(winners + ow)));
    const upper = dx + ((<usize>ow) << 3);
    const p0 = v128.and(value, i32x4.eq(winner, zero));
    const p1 = v128.and(value, i32x4.eq(winner, i32x4.splat(1)));
    const p2 = v128.and(value, i32x4.eq(winner, i32x4.splat(2)));
    const p3 = v128.and(value, i32x4.eq(winner, i32x4.splat(3)));
    v128.store(upper, v128.shuffle<f32>(p0, p1, 0, 4, 1, 5));
    v128.store(upper, v128.shuffle<f32>(p0, p1, 2, 6, 3, 7), 16);
    v128.store(upper + rowBytes, v128.shuffle<f32>(p2, p3, 0, 4, 1, 5));
    v128.store(upper + rowBytes, v128.shuffle<f32>(p2, p3, 2, 6, 3, 7), 16);
  }
}
