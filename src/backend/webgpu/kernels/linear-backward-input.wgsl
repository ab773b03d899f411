// dx[b, i] = sum over o of dy[b, o] · weight[o, i]: a product with m = images, n = inputs, k = outputs from u.row to u.rowEnd.
// The weight's elements are those from u.begin to u.end; what is outside counts as 0.
fn k_range(z: u32) -> vec2u {
  return vec2u(u.row + z * u.terms, min(u.rowEnd, u.row + (z + 1) * u.terms));
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  var v = vec4f();
#if wideOut
  if (m < u.batch && k < u.rowEnd) {
    v = dy[(m * u.outputs + k) / 4];
  }
  for (var j = 0u; j < 4; j++) {
    // Nothing of the rows of other pieces: 0 · ∞ is NaN.
    if (k + j < u.begin / u.inputs || k + j >= u.rowEnd) {
      v[j] = 0;
    }
  }
#else
  for (var j = 0u; j < 4 && m < u.batch && k + j < u.rowEnd; j++) {
    v[j] = dy[m * u.outputs + k + j];
  }
#endif
  return v;
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  var v = vec4f();
  let e = k * u.inputs + n;
#if wide
  if (n < u.inputs && e >= u.begin && e < u.end) {
    v = weight[(e - u.begin) / 4];
  }
#else
  for (var j = 0u; j < 4 && n + j < u.inputs; j++) {
    if (e + j >= u.begin && e + j < u.end) {
      v[j] = weight[e + j - u.begin];
    }
  }
#endif
  return v;
}
