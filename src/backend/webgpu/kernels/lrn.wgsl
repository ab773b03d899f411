// Local response normalisation, a thread an element; neighbours are PLANE apart. The window of channel c begins BEFORE channels in front of
// it and ends AFTER it, cut at the ends.

// v^-BETA, v > 0.
fn power(v: f32) -> f32 {
#if three_quarters
  let root = inverseSqrt(v);
  return root * sqrt(root);
#else
#if half
  return inverseSqrt(v);
#else
  return general_power(v);
#endif
#endif
}

#if general
// v^-BETA = 2^e · e^r. The logarithm is in base 2: v = 2^k · m, m around 1, log m = 2 · atanh((m - 1) / (m + 1)). Denormal v count as the
// smallest normal number.
fn general_power(v: f32) -> f32 {
  let bits = bitcast<u32>(v);
  if ((bits & 0x7fffffffu) >= 0x7f800000u) {
    // Infinity becomes 0, 1 or infinity, by the sign of BETA; NaN stays, but for a power of 0.
    return select(select(1 / v, v, BETA < 0), 1, BETA == 0);
  }
  let normal = max(bits, 0x00800000u);
  // Counted from √½.
  let k = i32(normal - 0x3f3504f3u) >> 23u;
  let m = bitcast<f32>(normal - (bitcast<u32>(k) << 23u));
  let t = (m - 1) / (m + 1);
  let t2 = t * t;
  let series = 1 + t2 * (1 / 3.0 + t2 * (1 / 5.0 + t2 * (1 / 7.0 + t2 * (1 / 9.0))));
  let exponent = -BETA * (f32(k) + 2.88539008 * t * series);
  let e = round(clamp(exponent, -126, 127));
  let r = clamp(exponent - e, -1, 1) * 0.693147181;
  var sum = 1 / 720.0 + r * (1 / 5040.0);
  sum = 1 / 120.0 + r * sum;
  sum = 1 / 24.0 + r * sum;
  sum = 1 / 6.0 + r * sum;
  sum = 1 / 2.0 + r * sum;
  sum = 1 + r * (1 + r * sum);
  return sum * bitcast<f32>((i32(e) + 127) << 23u);
}
#endif

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
