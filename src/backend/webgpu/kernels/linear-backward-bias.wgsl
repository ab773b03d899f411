// dBias[o] = sum over b of dy[b, o], in blocks of 64 images: an output a thread.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let o = (group.y * GRID_X + group.x) * 64u + local;
  if (o < OUT) {
    var sum = 0f;
    for (var begin = 0u; begin < BATCH; begin += 64u) {
      var block = 0f;
      for (var b = begin; b < min(BATCH, begin + 64u); b++) {
        block += dy[b * OUT + o];
      }
      sum += block;
    }
#if accumulate
    sum += dBias[o];
#endif
    dBias[o] = sum;
  }
}
