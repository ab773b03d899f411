// dWeight [M][N][3][3] (+)= the inverse transform of planes [PARTS][places][M][N_PADDED], whose parts are added in order first. A thread a
// filter: neighbouring threads read neighbouring elements. In front: winograd-lines.wgsl.
fn put_taps(at: u32, r: Row) {
#if tile4
  let taps = r[0];
#else
  let taps = r.xyz;
#endif
#if accumulate
  dWeight[at] += taps.x;
  dWeight[at + 1] += taps.y;
  dWeight[at + 2] += taps.z;
#else
  dWeight[at] = taps.x;
  dWeight[at + 1] = taps.y;
  dWeight[at + 2] = taps.z;
#endif
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (group.x + group.y * GRID_X) * THREADS + local;
  let m = index / N_PADDED;
  let n = index % N_PADDED;
  if (m >= M || n >= N) { return; }
  var total = get_square(index);
  for (var part = 1u; part < PARTS; part++) {
    let more = get_square(index + part * ALPHA * ALPHA * PLANE);
    total[0] += more[0];
    total[1] += more[1];
    total[2] += more[2];
    total[3] += more[3];
#if tile4
    total[4] += more[4];
    total[5] += more[5];
#endif
  }
  let taps = inverse_lines(turned(inverse_lines(total)));
  let at = (m * N + n) * 9;
  put_taps(at, taps[0]);
  put_taps(at + 3, taps[1]);
  put_taps(at + 6, taps[2]);
}
