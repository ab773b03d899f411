// y[b, o] = sum over i of x[b, i] · weight[o, i]: a product with m = images, n = outputs from u.row on, k = inputs.
// The weight's elements are those from u.begin to u.end; what is outside counts as 0.
fn k_range(z: u32) -> vec2u {
  return vec2u(z * u.terms, min(u.inputs, (z + 1) * u.terms));
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  var v = vec4f();
#if wide
  if (m < u.batch && k < u.inputs) {
    v = x[(m * u.inputs + k) / 4];
  }
#else
  for (var j = 0u; j < 4 && m < u.batch && k + j < u.inputs; j++) {
    v[j] = x[m * u.inputs + k + j];
  }
#endif
  return v;
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  var v = vec4f();
  let e = (u.row + n) * u.inputs + k;
#if wide
  if (k < u.inputs && e >= u.begin && e < u.end) {
    v = four(e - u.begin);
  }
#else
  for (var j = 0u; j < 4 && k + j < u.inputs; j++) {
    if (e + j >= u.begin && e + j < u.end) {
      v[j] = one(e + j - u.begin);
    }
  }
#endif
#if float16
  v *= scale[min(u.row + n, u.outputs - 1)];
#endif
  return v;
}
