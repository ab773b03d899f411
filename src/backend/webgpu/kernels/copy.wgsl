// y[Y0 + i] = x[X0 + i]: words of any type.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i < LENGTH) {
    y[Y_BEGIN + i] = x[X_BEGIN + i];
  }
}
