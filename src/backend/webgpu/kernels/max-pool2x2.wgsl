// Maxima of windows of 2x2 that do not overlap, in rows of an even width: a thread a window, x and dx as pairs of neighbours in a row.
fn is_nan(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let o = (group.y * GRID_X + group.x) * 64u + local;
  if (o >= COUNT) {
    return;
  }
  let top = (o / (OUT_H * OUT_W) * IN_H + o / OUT_W % OUT_H * 2) * OUT_W + o % OUT_W;
#if forward
  let v = vec4f(x[top], x[top + OUT_W]);
  // The first of equals wins, and NaN over all.
  var best = v.x;
  var winner = 0u;
  for (var place = 1u; place < 4; place++) {
    if (is_nan(v[place]) || (v[place] > best && !is_nan(best))) {
      best = v[place];
      winner = place;
    }
  }
  y[o] = best;
#if winners
  winners[o] = winner;
#endif
#else
  let v = select(vec4f(), vec4f(dy[o]), vec4u(winners[o]) == vec4u(0, 1, 2, 3));
  dx[top] = v.xy;
  dx[top + OUT_W] = v.zw;
#endif
}
