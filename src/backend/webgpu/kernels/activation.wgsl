// Activations with a curve or two slopes, four elements a thread; vectors may reach behind the tensors' ends. tanh and sigmoid are within
// a few roundings of float32 everywhere, whatever the driver's own functions are worth.

// e^v for v at most 0: v = k · ln 2 + r, Taylor's series for e^r, times 2^k. 0 below -87, where e^v is no normal number.
fn exp_of_negative(v: vec4f) -> vec4f {
  let least = max(v, vec4f(-87));
  let k = round(least * 1.44269504);
  // ln 2 in two parts, of which the first times k is exact.
  let r = (least - k * 0.693359375) + k * 0.000212194440;
  var sum = 1 / 720.0 + r * (1 / 5040.0);
  sum = 1 / 120.0 + r * sum;
  sum = 1 / 24.0 + r * sum;
  sum = 1 / 6.0 + r * sum;
  sum = 1 / 2.0 + r * sum;
  sum = 1 + r * (1 + r * sum);
  return select(sum * bitcast<vec4f>((vec4i(k) + 127) << vec4u(23)), vec4f(), v < vec4f(-87));
}

fn unless_nan(v: vec4f, result: vec4f) -> vec4f {
  return select(result, v, (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}

// (1 - t) / (1 + t) with t = e^(-2|v|), which cannot overflow; near 0, where 1 - t loses digits, Lambert's continued fraction
// to v²/9.
fn tanh_of(v: vec4f) -> vec4f {
  let size = abs(v);
  let t = exp_of_negative(-2 * size);
  let far = (1 - t) / (1 + t);
  let near = min(size, vec4f(1));
  let v2 = near * near;
  let fraction = near * (((v2 + 105) * v2 + 945) / ((15 * v2 + 420) * v2 + 945));
  let positive = select(far, fraction, size < vec4f(0.7));
  // The sign's bit, which -0 has too.
  let signs = bitcast<vec4u>(v) & vec4u(0x80000000u);
  return unless_nan(v, bitcast<vec4f>(bitcast<vec4u>(positive) | signs));
}

fn sigmoid_of(v: vec4f) -> vec4f {
  let t = exp_of_negative(-abs(v));
  return unless_nan(v, select(vec4f(1), t, v < vec4f()) / (1 + t));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i >= VECTORS) {
    return;
  }
#if leakyReluForward
  let v = x[i];
  y[i] = select(v * u.factor, v, v > vec4f());
#endif
#if leakyReluBackward
  let v = dy[i];
  dx[i] = select(v * u.factor, v, x[i] > vec4f());
#endif
#if tanhForward
  y[i] = tanh_of(x[i]);
#endif
#if tanhBackward
  let v = y[i];
  dx[i] = dy[i] * (1 - v * v);
#endif
#if sigmoidForward
  y[i] = sigmoid_of(x[i]);
#endif
#if sigmoidBackward
  let v = y[i];
  dx[i] = dy[i] * v * (1 - v);
#endif
}
