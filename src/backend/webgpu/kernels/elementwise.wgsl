// y = f(x) or f(a, b), four elements a thread. Vectors may reach behind the tensors' ends, where nothing lies.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i >= VECTORS) {
    return;
  }
#if reluForward
  // NaN is not below 0, and stays.
  let v = x[i];
  y[i] = select(v, vec4f(), v < vec4f());
#endif
#if reluBackward
  dx[i] = select(vec4f(), dy[i], y[i] > vec4f());
#endif
#if add
  y[i] = a[i] + b[i];
#endif
#if mul
  y[i] = a[i] * b[i];
#endif
#if scale
  y[i] = x[i] * u.factor;
#endif
#if expand
  y[i] = vec4f(x[0].x * u.factor);
#endif
#if fill
  y[i] = vec4f(u.factor);
#endif
}
