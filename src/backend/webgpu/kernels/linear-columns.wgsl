// dx of few images: each thread adds up four columns of the weight for all of them, along the rows that k_range gives.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let n = (group.x * 64 + local) * 4;
  var sums: array<vec4f, BATCH>;
  let range = k_range(group.z);
  for (var k = range.x; k < range.y; k++) {
    let w = load_b(group.z, n, k);
    for (var b = 0u; b < BATCH; b++) {
      sums[b] += dy[b * u.outputs + k] * w;
    }
  }
  for (var b = 0u; b < BATCH; b++) {
    store(group.z, b, n, sums[b]);
  }
}
