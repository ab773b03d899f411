// The work of a ReLU that a layer's kernel does on the way to memory, with the bits of reluForward and reluBackward
// (elementwise.ts): y = max(y, floor) with a floor of 0, and dx = dx where the mask (that ReLU's output) is above 0, else 0.

/** What y is at least: 0 with a ReLU, else -Infinity, which changes nothing. NaN stays NaN. */
export function floorOf(relu: i32): f32 {
  return relu ? <f32>0 : -Infinity;
}

/** Four values where the four of the mask, which lie at `mask`, are above 0; else 0. */
export function keepPositive(values: v128, mask: usize): v128 {
  return v128.and(values, f32x4.gt(v128.load(mask), f32x4.splat(0)));
}

/** Sets `count` neighbours of dx to 0 where the mask is not above 0. */
export function maskRow(dx: usize, mask: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(dx, keepPositive(v128.load(dx), mask));
    dx += 16;
    mask += 16;
  }
  for (; i < count; i++) {
    if (!(load<f32>(mask) > 0)) store<f32>(dx, 0);
    dx += 4;
    mask += 4;
  }
}
