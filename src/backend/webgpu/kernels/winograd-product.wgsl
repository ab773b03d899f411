// The loads and stores of Winograd's products, one for each place z of a tile, of planes whose rows are whole numbers of vec4s:
//   the convolution       products[z] [m][stride] = filters[z] [k][m_padded]ᵀ · planes[z] [k][stride]
//   the weight gradient   totals[part][z] [m][n_padded] (+)= gradients[z] [m][stride] · planes[z] [n][stride]ᵀ, over `chunk` tiles a part
// `columns` of a row of tiles are filled; the gradient's index z counts parts of places. Sizes are uniforms: few pipelines do for all layers.
#if gradient
fn k_range(z: u32) -> vec2u {
  let begin = z / PLACES * u.chunk;
  return vec2u(begin, min(begin + u.chunk, u.columns));
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  let inside = (m < u.m) & (k < k_range(z).y);
  return select(vec4f(), vec4f(gradients[(z % PLACES * u.m + m) * (u.stride / 4) + k / 4]), inside);
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  let inside = (n < u.n) & (k < k_range(z).y);
  return select(vec4f(), vec4f(planes[(z % PLACES * u.n + n) * (u.stride / 4) + k / 4]), inside);
}

fn store(z: u32, m: u32, n: u32, v: vec4f) {
  if (m >= u.m || n >= u.n_padded) { return; }
  let at = (z * u.m + m) * (u.n_padded / 4) + n / 4;
  if (u.later == 1) {
    totals[at] += v;
  } else {
    totals[at] = v;
  }
}
#else
fn k_range(z: u32) -> vec2u {
  return vec2u(0, u.k);
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  let inside = (m < u.m_padded) & (k < u.k);
  return select(vec4f(), vec4f(filters[(z * u.k + k) * (u.m_padded / 4) + m / 4]), inside);
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  let inside = (n < u.columns) & (k < u.k);
  return select(vec4f(), vec4f(planes[(z * u.k + k) * (u.stride / 4) + n / 4]), inside);
}

fn store(z: u32, m: u32, n: u32, v: vec4f) {
  if (m >= u.m || n >= u.columns) { return; }
  products[(z * u.m + m) * (u.stride / 4) + n / 4] = v;
}
#endif
