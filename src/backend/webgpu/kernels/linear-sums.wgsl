// The parts of split sums [splits][batch][width], added in order; finish(image, column, sum) does the rest.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i < u.batch * u.width) {
    var sum = parts[i];
    for (var part = 1u; part < u.splits; part++) {
      sum += parts[part * u.batch * u.width + i];
    }
    finish(i / u.width, i % u.width, sum);
  }
}
