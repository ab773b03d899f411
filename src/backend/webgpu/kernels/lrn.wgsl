// Local response normalisation, a thread an element; neighbours are PLANE apart. The window of channel c begins BEFORE channels in front of
// it and ends AFTER it, cut at the ends. Behind math.wgsl.

// v^-BETA of a normal positive v.
fn power(v: f32) -> f32 {
#if three_quarters
  let root = inverseSqrt(v);
  return root * sqrt(root);
#endif
#if half
  return inverseSqrt(v);
#endif
#if general
  if (!is_finite(v)) {
    // Infinity becomes 0, 1 or infinity, by the sign of BETA; NaN stays, but for a power of 0.
    return select(select(1 / v, v, BETA < 0), 1, BETA == 0);
  }
  return exp_less(min(-BETA * log_of(v, v - 1), 88), 0);
#endif
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let id = (group.y * GRID_X + group.x) * 64u + local;
  if (id >= COUNT) {
    return;
  }
  let c = id / PLANE % CHANNELS;
#if forward
  let first = c - min(c, BEFORE);
  let last = min(c + AFTER, CHANNELS - 1);
#else
  // Of the windows that hold c.
  let first = c - min(c, AFTER);
  let last = min(c + BEFORE, CHANNELS - 1);
#endif
  let end = id + (last - c) * PLANE;
  var sum = 0f;
  for (var at = id - (c - first) * PLANE; at <= end; at += PLANE) {
#if forward
    sum += x[at] * x[at];
#else
    sum += dy[at] * x[at] * (power(scale[at]) / scale[at]);
#endif
  }
#if forward
  let divisor = K + ALPHA_SHARE * sum;
  scale[id] = divisor;
  y[id] = x[id] * power(divisor);
#else
  dx[id] = dy[id] * power(scale[id]) - SLOPE * x[id] * sum;
#endif
}
