// SGD, four elements a thread; sgd.wgsl follows.
alias Values = vec4f;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i < VECTORS) {
    update(i, grad[i]);
  }
}
