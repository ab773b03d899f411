// Activations with a curve or two slopes, four elements a thread; vectors may reach behind the tensors' ends. Behind math.wgsl.

// -e / (2 + e) with e = e^(-2|v|) - 1, which cannot overflow and has all its digits near 0; then the sign's bit, which -0 has too.
fn tanh_of(v: f32) -> f32 {
  let e = exp_less(-2 * abs(v), 1);
  let size = -e / (2 + e);
  return select(bitcast<f32>((bitcast<u32>(size) & 0x7fffffffu) | (bitcast<u32>(v) & 0x80000000u)), v, is_nan(v));
}

fn sigmoid_of(v: f32) -> f32 {
  let t = exp_less(-abs(v), 0);
  return select(select(1, t, v < 0) / (1 + t), v, is_nan(v));
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
  let v = x[i];
  y[i] = vec4f(tanh_of(v.x), tanh_of(v.y), tanh_of(v.z), tanh_of(v.w));
#endif
#if tanhBackward
  let v = y[i];
  dx[i] = dy[i] * (1 - v * v);
#endif
#if sigmoidForward
  let v = x[i];
  y[i] = vec4f(sigmoid_of(v.x), sigmoid_of(v.y), sigmoid_of(v.z), sigmoid_of(v.w));
#endif
#if sigmoidBackward
  let v = y[i];
  dx[i] = dy[i] * v * (1 - v);
#endif
}
