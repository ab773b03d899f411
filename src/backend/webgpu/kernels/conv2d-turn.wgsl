// turned[o, place, c] = weight[o, c, place]: the weight of a convolution with its input channels last.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 256 + local;
  if (i < OUT_C * PLACES * GROUP_IN) {
    turned[i] = weight[(i / (PLACES * GROUP_IN) * GROUP_IN + i % GROUP_IN) * PLACES + i / GROUP_IN % PLACES];
  }
}
