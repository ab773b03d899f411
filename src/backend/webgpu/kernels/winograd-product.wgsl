// The loads and stores of Winograd's products, one for each place z of a tile, of planes whose rows are whole numbers of vec4s:
//   the convolution       products[z] [M][STRIDE] = filters[z] [K][M_PADDED]ᵀ · planes[z] [K][STRIDE]
//   the weight gradient   totals[part][z] [M][N_PADDED] (+)= gradients[z] [M][STRIDE] · planes[z] [N][STRIDE]ᵀ, over CHUNK tiles a part
// `columns` of a row of tiles are filled; the gradient's index z counts parts of places.
#if gradient
fn k_range(z: u32) -> vec2u {
  let begin = z / PLACES * CHUNK;
  return vec2u(begin, min(begin + CHUNK, u.columns));
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  if (m >= M || k >= k_range(z).y) { return vec4f(); }
  return gradients[(z % PLACES * M + m) * (STRIDE / 4) + k / 4];
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  if (n >= N || k >= k_range(z).y) { return vec4f(); }
  return planes[(z % PLACES * N + n) * (STRIDE / 4) + k / 4];
}

fn store(z: u32, m: u32, n: u32, v: vec4f) {
  if (m >= M || n >= N_PADDED) { return; }
  let at = (z * M + m) * (N_PADDED / 4) + n / 4;
  if (u.later == 1) {
    totals[at] += v;
  } else {
    totals[at] = v;
  }
}
#else
fn k_range(z: u32) -> vec2u {
  return vec2u(0, K);
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  if (m >= M_PADDED || k >= K) { return vec4f(); }
  return filters[(z * K + k) * (M_PADDED / 4) + m / 4];
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  if (n >= u.columns || k >= K) { return vec4f(); }
  return planes[(z * K + k) * (STRIDE / 4) + n / 4];
}

fn store(z: u32, m: u32, n: u32, v: vec4f) {
  if (m >= M || n >= u.columns) { return; }
  products[(z * M + m) * (STRIDE / 4) + n / 4] = v;
}
#endif
