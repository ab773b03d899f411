// One step of Adam or AdamW, four elements a thread.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i >= VECTORS) {
    return;
  }
  let g = grad[i] + u.decay * param[i];
  let average = u.beta1 * expAvg[i] + u.rest1 * g;
  let square = u.beta2 * expAvgSq[i] + u.rest2 * g * g;
  expAvg[i] = average;
  expAvgSq[i] = square;
  param[i] = u.kept * param[i] - u.rate * average / (sqrt(square / u.correction2) + u.eps);
}
