// dWeight[o, i] = sum over b of dy[b, o] · x[b, i]: a product with m = outputs from u.row on, n = inputs, k = images.
// update(e, gradient) gets those that lie in this piece, elements u.begin to u.end: fours where rows are whole fours.
fn k_range(z: u32) -> vec2u {
  return vec2u(0, u.batch);
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  var v = vec4f();
  let o = u.row + m;
#if wideOut
  if (k < u.batch && o < u.outputs) {
    v = dy[(k * u.outputs + o) / 4];
  }
#else
  for (var j = 0u; j < 4 && k < u.batch && o + j < u.outputs; j++) {
    v[j] = dy[k * u.outputs + o + j];
  }
#endif
  return v;
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  var v = vec4f();
#if wide
  if (k < u.batch && n < u.inputs) {
    v = x[(k * u.inputs + n) / 4];
  }
#else
  for (var j = 0u; j < 4 && k < u.batch && n + j < u.inputs; j++) {
    v[j] = x[k * u.inputs + n + j];
  }
#endif
  return v;
}

fn store(z: u32, m: u32, n: u32, v: vec4f) {
  let e = (u.row + m) * u.inputs + n;
#if wide
  if (n < u.inputs && e >= u.begin && e < u.end) {
    update((e - u.begin) / 4, v);
  }
#else
  for (var j = 0u; j < 4 && n + j < u.inputs; j++) {
    if (e + j >= u.begin && e + j < u.end) {
      update(e + j - u.begin, v[j]);
    }
  }
#endif
}
