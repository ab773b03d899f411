// C[m, n] = sum over k of A[m, k] · B[n, k], for each z: the product that convolutions and linear layers are made of.
//
// What A, B and C are is said by three functions of whoever uses it, in a source that is put in front of this one; all deal in four elements
// at once and see to the borders themselves (0 outside):
//   fn load_a(z, m, k) -> vec4f    A[m, k..k+3] where A_ALONG_K, else A[m..m+3, k]
//   fn load_b(z, n, k) -> vec4f    B[n, k..k+3] where B_ALONG_K, else B[n..n+3, k]
//   fn store(z, m, n, v: vec4f)    C[m, n..n+3] = v
//   fn k_range(z) -> vec2u         the first k and the one after the last
//
// A workgroup computes TILE_M x TILE_N of C, a thread REG_M x REG_N of that, over TILE_K terms at a time which lie in workgroup memory:
//   tile_a [TILE_K][TILE_M / 4] vec4s along m       tile_b [TILE_K][TILE_N / 4] vec4s along n
// Blocks of 4 x 4 are loaded by a thread each, and turned where they come along k.
#if f16
alias Number = vec4<f16>;
#else
alias Number = vec4<f32>;
#endif

const COLUMNS = TILE_N / REG_N;
const THREADS = (TILE_M / REG_M) * COLUMNS;
const RA = REG_M / 4;
const RB = REG_N / 4;

var<workgroup> tile_a: array<Number, TILE_K * TILE_M / 4>;
var<workgroup> tile_b: array<Number, TILE_K * TILE_N / 4>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let z = group.z;
  let m0 = group.y * TILE_M;
  let n0 = group.x * TILE_N;
  let row = (local / COLUMNS) * RA;
  let column = (local % COLUMNS) * RB;
  var sums: array<vec4f, REG_M * RB>;

  let range = k_range(z);
  for (var k0 = range.x; k0 < range.y; k0 += TILE_K) {
    for (var block = local; block < TILE_M * TILE_K / 16; block += THREADS) {
      let m = block % (TILE_M / 4);
      let k = block / (TILE_M / 4) * 4;
      var b0: vec4f; var b1: vec4f; var b2: vec4f; var b3: vec4f;
#if A_ALONG_K
      let t = transpose(mat4x4f(
        load_a(z, m0 + m * 4, k0 + k), load_a(z, m0 + m * 4 + 1, k0 + k),
        load_a(z, m0 + m * 4 + 2, k0 + k), load_a(z, m0 + m * 4 + 3, k0 + k)));
      b0 = t[0]; b1 = t[1]; b2 = t[2]; b3 = t[3];
#else
      b0 = load_a(z, m0 + m * 4, k0 + k); b1 = load_a(z, m0 + m * 4, k0 + k + 1);
      b2 = load_a(z, m0 + m * 4, k0 + k + 2); b3 = load_a(z, m0 + m * 4, k0 + k + 3);
#endif
      tile_a[k * (TILE_M / 4) + m] = Number(b0);
      tile_a[(k + 1) * (TILE_M / 4) + m] = Number(b1);
      tile_a[(k + 2) * (TILE_M / 4) + m] = Number(b2);
      tile_a[(k + 3) * (TILE_M / 4) + m] = Number(b3);
    }
    for (var block = local; block < TILE_N * TILE_K / 16; block += THREADS) {
      let n = block % (TILE_N / 4);
      let k = block / (TILE_N / 4) * 4;
      var b0: vec4f; var b1: vec4f; var b2: vec4f; var b3: vec4f;
#if B_ALONG_K
      let t = transpose(mat4x4f(
        load_b(z, n0 + n * 4, k0 + k), load_b(z, n0 + n * 4 + 1, k0 + k),
        load_b(z, n0 + n * 4 + 2, k0 + k), load_b(z, n0 + n * 4 + 3, k0 + k)));
      b0 = t[0]; b1 = t[1]; b2 = t[2]; b3 = t[3];
#else
      b0 = load_b(z, n0 + n * 4, k0 + k); b1 = load_b(z, n0 + n * 4, k0 + k + 1);
      b2 = load_b(z, n0 + n * 4, k0 + k + 2); b3 = load_b(z, n0 + n * 4, k0 + k + 3);
#endif
      tile_b[k * (TILE_N / 4) + n] = Number(b0);
      tile_b[(k + 1) * (TILE_N / 4) + n] = Number(b1);
      tile_b[(k + 2) * (TILE_N / 4) + n] = Number(b2);
      tile_b[(k + 3) * (TILE_N / 4) + n] = Number(b3);
    }
    workgroupBarrier();

    for (var k = 0u; k < TILE_K; k++) {
      for (var i = 0u; i < RA; i++) {
        let a = tile_a[k * (TILE_M / 4) + row + i];
        for (var j = 0u; j < RB; j++) {
          let b = tile_b[k * (TILE_N / 4) + column + j];
          sums[(i * 4) * RB + j] += vec4f(a.x * b);
          sums[(i * 4 + 1) * RB + j] += vec4f(a.y * b);
          sums[(i * 4 + 2) * RB + j] += vec4f(a.z * b);
          sums[(i * 4 + 3) * RB + j] += vec4f(a.w * b);
        }
      }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < REG_M; i++) {
    for (var j = 0u; j < RB; j++) {
      store(z, m0 + row * 4 + i, n0 + (column + j) * 4, sums[i * RB + j]);
    }
  }
}
