// Bilinear resampling. Output place o looks at place (o + SHIFT) · step - SHIFT, which float32 would miss by too much in long rows: it is
// computed in whole numbers, as a place and a share of 2^32, from step · 2^64 in three words (STEP: whole, high, low; half of it where
// SHIFT is a half, as then (2o + 1) · step / 2 - 1/2 is meant).

struct Source {
  // The two places, and the weight of the second.
  low: u32,
  high: u32,
  share: f32,
}

// The upper word of a product.
fn multiply_high(a: u32, b: u32) -> u32 {
  let lower = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (lower >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

fn source_of(o: u32, step: vec3u, size: u32) -> Source {
#if half
  let n = 2 * o + 1;
#else
  let n = o;
#endif
  let upper = n * step.y;
  var fraction = upper + multiply_high(n, step.z);
  var place = n * step.x + multiply_high(n, step.y) + u32(fraction < upper);
#if half
  let before = fraction < 0x80000000u;
  if (before && place == 0) {
    fraction = 0;
  } else {
    fraction -= 0x80000000u;
    place -= u32(before);
  }
#endif
  let low = min(place, size - 1);
  return Source(low, min(low + 1, size - 1), f32(fraction) * 2.3283064365386963e-10);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let id = (group.y * GRID_X + group.x) * 64u + local;
  if (id >= COUNT) {
    return;
  }
#if forward
  let rows = source_of(id / OUT_W % OUT_H, vec3u(STEP_H0, STEP_H1, STEP_H2), IN_H);
  let columns = source_of(id % OUT_W, vec3u(STEP_W0, STEP_W1, STEP_W2), IN_W);
  let plane = id / (OUT_H * OUT_W) * IN_H;
  let low = (plane + rows.low) * IN_W;
  let high = (plane + rows.high) * IN_W;
  let upper = x[low + columns.low] * (1 - columns.share) + x[low + columns.high] * columns.share;
  let lower = x[high + columns.low] * (1 - columns.share) + x[high + columns.high] * columns.share;
  y[id] = upper * (1 - rows.share) + lower * rows.share;
#else
  // Along one axis: dy [outer, OUT, INNER] to dx [outer, IN, INNER]. The outputs that look at place i lie between those that are worth
  // i - 1 and i + 1; one more on either side, as this is computed in float32.
  let i = id / INNER % IN;
  let centre = f32(i) + SHIFT;
  let begin = u32(max(floor((centre - 1) * OUTPUTS_EACH - SHIFT) - 1, 0));
  var end = OUT;
  if (i + 1 < IN) {
    end = min(u32(max(ceil((centre + 1) * OUTPUTS_EACH - SHIFT), 0)) + 2, OUT);
  }
  let base = id / (IN * INNER) * (OUT * INNER) + id % INNER;
  var sum = 0f;
  for (var o = begin; o < end; o++) {
    let looks = source_of(o, vec3u(STEP0, STEP1, STEP2), IN);
    let v = dy[base + o * INNER];
    if (looks.low == i) {
      sum += v * (1 - looks.share);
    }
    if (looks.high == i) {
      sum += v * looks.share;
    }
  }
  dx[id] = sum;
#endif
}
