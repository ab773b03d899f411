// planes [places][K][M_PADDED] = U of the filters of input channels k and output channels m, at weight[m · M_STEP + k · K_STEP]; with
// `flip` turned by 180 degrees. A thread a filter, 16 x 16 of them a workgroup: whole runs of both layouts. Output channels beyond M are 0.
// In front: winograd-lines.wgsl.
fn tap(at: u32, i: u32) -> f32 {
#if flip
  return weight[at + 8 - i];
#else
  return weight[at + i];
#endif
}

fn taps(at: u32, i: u32) -> Row {
#if tile4
  return Row(tap(at, i), tap(at, i + 1), tap(at, i + 2), 0, 0, 0);
#else
  return Row(tap(at, i), tap(at, i + 1), tap(at, i + 2), 0);
#endif
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let m = group.x * 16 + local % 16;
  let k = group.y * 16 + local / 16;
  if (m >= M_PADDED || k >= K) { return; }
  var g = Square();
  if (m < M) {
    let at = m * M_STEP + k * K_STEP;
    g[0] = taps(at, 0);
    g[1] = taps(at, 3);
    g[2] = taps(at, 6);
  }
  put_square(k * M_PADDED + m, filter_lines(turned(filter_lines(g))));
}
