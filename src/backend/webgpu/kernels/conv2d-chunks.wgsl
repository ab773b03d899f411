// dWeight = the sum of the chunks' parts, in their order. Four elements a thread where LENGTH is a number of whole vectors.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64 + local;
  if (i >= LENGTH) {
    return;
  }
  var sum = parts[i];
  for (var chunk = 1u; chunk < CHUNKS; chunk++) {
    sum += parts[chunk * LENGTH + i];
  }
#if accumulate
  sum += dWeight[i];
#endif
  dWeight[i] = sum;
}
