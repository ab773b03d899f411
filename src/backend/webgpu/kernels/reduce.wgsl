// Sums of chunks: y[chunk] is the sum of the terms chunk · CHUNK .... Each of 256 threads adds every 256th, then halves add up.
var<workgroup> sums: array<f32, 256>;

fn term(i: u32) -> f32 {
#if squares
  let difference = a[i] - b[i];
  return difference * difference;
#else
#if picked
  // A label that is no class makes the sum NaN.
  let label = u32(labels[i]);
  return select(nan(), x[select(0u, i * CLASSES + label, label < CLASSES)], label < CLASSES);
#else
  return x[i];
#endif
#endif
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let chunk = group.y * GRID_X + group.x;
  let end = min(LENGTH, (chunk + 1u) * CHUNK);
  var sum = 0f;
  for (var i = chunk * CHUNK + local; i < end; i += 256u) {
    sum += term(i);
  }
  sums[local] = sum;
  for (var half = 128u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local < half) {
      sums[local] += sums[local + half];
    }
  }
  if (local == 0u && chunk < CHUNKS) {
    y[Y_BEGIN + chunk] = sums[0] * u.factor;
  }
}
