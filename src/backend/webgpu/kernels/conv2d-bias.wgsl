// Sums of chunks of each channel of [images, channels, plane]: y[channel, chunk]. Each of 256 threads adds every 256th element, then halves
// add up. Once more over the chunks, where there are several.
var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = group.y * GRID_X + group.x;
  let channel = index / CHUNKS;
  let begin = index % CHUNKS * CHUNK;
  let end = min(IMAGES * PLANE, begin + CHUNK);
  var sum = 0f;
  for (var i = begin + local; i < end; i += 256) {
    sum += input[(i / PLANE * CHANNELS + channel) * PLANE + i % PLANE];
  }
  sums[local] = sum;
  for (var half = 128u; half > 0; half /= 2) {
    workgroupBarrier();
    if (local < half) {
      sums[local] += sums[local + half];
    }
  }
  if (local == 0 && channel < CHANNELS) {
#if accumulate
    sums[0] += output[index];
#endif
    output[index] = sums[0];
  }
}
