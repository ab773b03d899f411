// What becomes of four results of a product: parts of split sums wait in `parts` [splits][batch][width], whole ones are finished.
fn store(z: u32, m: u32, n: u32, v: vec4f) {
  for (var j = 0u; j < 4 && m < u.batch && n + j < u.width; j++) {
#if parts
    parts[(z * u.batch + m) * u.width + n + j] = v[j];
#else
    finish(m, n + j, v[j]);
#endif
  }
}
