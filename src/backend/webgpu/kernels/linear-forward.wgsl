// y[b, o] = sum over i of x[b, i] · weight[o, i] + bias[o]: a product with m = images, n = outputs, k = inputs.
// The weight may come in pieces, elements from u.begin to u.end of it: what is outside counts as 0, and later pieces add to y.
fn k_range(z: u32) -> vec2u {
  return vec2u(0, IN);
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  var v = vec4f();
  if (m < BATCH) {
    for (var j = 0u; j < 4 && k + j < IN; j++) {
      v[j] = x[m * IN + k + j];
    }
  }
  return v;
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  var v = vec4f();
  for (var j = 0u; j < 4 && k + j < IN; j++) {
    let e = n * IN + k + j;
    if (n < OUT && e >= u.begin && e < u.end) {
      v[j] = weight[e - u.begin];
    }
  }
  return v;
}

fn store(z: u32, m: u32, n: u32, v: vec4f) {
  for (var j = 0u; j < 4 && m < BATCH && n + j < OUT; j++) {
    let e = m * OUT + n + j;
    var value = v[j];
#if later
    value += y[e];
#endif
#if last
#if bias
    value += bias[n + j];
#endif
#if relu
    value = select(value, 0, value < 0);
#endif
#endif
    y[e] = value;
  }
}
