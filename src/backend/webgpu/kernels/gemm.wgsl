// C[m, n] = sum over k of A[m, k] · B[n, k], for each z: the product that convolutions and linear layers are made of.
//
// What A, B and C are is said by functions of whoever uses it, in a source that is put in front of this one; all deal in four elements at
// once and see to the borders of k themselves (0 outside). Rows and columns beyond the result may hold anything, and store() leaves them out.
//   fn load_a(z, m, k) -> vec4f    A[m, k..k+3] where A_ALONG_K, else A[m..m+3, k]
//   fn load_b(z, n, k) -> vec4f    B[n, k..k+3] where B_ALONG_K, else B[n..n+3, k]
//   fn store(z, m, n, v: vec4f)    C[m, n..n+3] = v
//   fn k_range(z) -> vec2u         the first k and the one after the last
//
// A workgroup computes TILE_M x TILE_N of C, over TILE_K terms at a time which lie in workgroup memory:
//   tile_a [TILE_K][TILE_M / 4] vec4s along m       tile_b [TILE_K][TILE_N / 4] vec4s along n
// A thread computes REG_M x REG_N, in blocks of 4 x 4: (row + i · ROWS, column + j · COLUMNS), so that neighbouring threads read
// neighbouring vec4s. All of a thread's sums are variables of their own, not arrays, which some compilers keep in memory.
//
// What comes along k is loaded as blocks of 4 x 4, neighbours along k by neighbouring threads, and turned. These threads write to the same
// column of different rows of the tile, which would be the same banks: the column of rows 4q to 4q + 3 is XORed with 2q.
//
// Half precision halves the tiles and what is read from them. Products and sums are float32 still: of two halves they are exact, and to widen
// 16 factors costs less than to widen 64 products.
#if f16
alias Number = vec4<f16>;
#else
alias Number = vec4<f32>;
#endif

const ROWS = TILE_M / REG_M;
const COLUMNS = TILE_N / REG_N;
const THREADS = ROWS * COLUMNS;
// Blocks of four in a row of a tile.
const AM = TILE_M / 4;
const BN = TILE_N / 4;
const QUADS = TILE_K / 4;

var<workgroup> tile_a: array<Number, TILE_K * AM>;
var<workgroup> tile_b: array<Number, TILE_K * BN>;

fn turn_a(q: u32) -> u32 {
#if A_ALONG_K
  return (q * 2) & (min(ROWS, 8) - 1);
#else
  return 0;
#endif
}

fn turn_b(q: u32) -> u32 {
#if B_ALONG_K
  return (q * 2) & (min(COLUMNS, 8) - 1);
#else
  return 0;
#endif
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) local: u32,
) {
  // Workgroups one after the other share columns of B, the larger matrix as a rule, while it is in cache.
  let index = group.y * groups.x + group.x;
  if (index >= u.tiles_m * u.tiles_n * u.products) {
    return;
  }
  let z = index / (u.tiles_m * u.tiles_n);
  let m0 = index % u.tiles_m * TILE_M;
  let n0 = index / u.tiles_m % u.tiles_n * TILE_N;
  let row = local / COLUMNS;
  let column = local % COLUMNS;
#for i RA
#for c 4
#for j RB
  var sum_{i}_{c}_{j} = vec4f();
#if LONG_SUM
  var total_{i}_{c}_{j} = vec4f();
#endif
#end
#end
#end

  let range = k_range(z);
  for (var k0 = range.x; k0 < range.y; k0 += TILE_K) {
#if A_ALONG_K
    for (var unit = local; unit < AM * QUADS; unit += THREADS) {
      let q = unit % QUADS;
      let m = m0 + unit / QUADS * 4;
      let k = k0 + q * 4;
      let t = transpose(mat4x4f(load_a(z, m, k), load_a(z, m + 1, k), load_a(z, m + 2, k), load_a(z, m + 3, k)));
      let at = q * TILE_M + ((unit / QUADS) ^ turn_a(q));
      tile_a[at] = Number(t[0]);
      tile_a[at + AM] = Number(t[1]);
      tile_a[at + 2 * AM] = Number(t[2]);
      tile_a[at + 3 * AM] = Number(t[3]);
    }
#else
    for (var unit = local; unit < AM * TILE_K; unit += THREADS) {
      tile_a[unit] = Number(load_a(z, m0 + unit % AM * 4, k0 + unit / AM));
    }
#endif
#if B_ALONG_K
    // From the last thread on: A's blocks, from the first on, may leave half of them without work.
    for (var unit = THREADS - 1 - local; unit < BN * QUADS; unit += THREADS) {
      let q = unit % QUADS;
      let n = n0 + unit / QUADS * 4;
      let k = k0 + q * 4;
      let t = transpose(mat4x4f(load_b(z, n, k), load_b(z, n + 1, k), load_b(z, n + 2, k), load_b(z, n + 3, k)));
      let at = q * TILE_N + ((unit / QUADS) ^ turn_b(q));
      tile_b[at] = Number(t[0]);
      tile_b[at + BN] = Number(t[1]);
      tile_b[at + 2 * BN] = Number(t[2]);
      tile_b[at + 3 * BN] = Number(t[3]);
    }
#else
    for (var unit = local; unit < BN * TILE_K; unit += THREADS) {
      tile_b[unit] = Number(load_b(z, n0 + unit % BN * 4, k0 + unit / BN));
    }
#endif
    workgroupBarrier();

    for (var q = 0u; q < QUADS; q++) {
      let at_a = q * TILE_M + (row ^ turn_a(q));
      let at_b = q * TILE_N + (column ^ turn_b(q));
#for k 4
      {
#for j RB
        let b{j} = vec4f(tile_b[at_b + {k} * BN + {j} * COLUMNS]);
#end
#for i RA
        let a{i} = vec4f(tile_a[at_a + {k} * AM + {i} * ROWS]);
#for c 4
#for j RB
        sum_{i}_{c}_{j} += a{i}[{c}] * b{j};
#end
#end
#end
      }
#end
    }
    workgroupBarrier();
#if LONG_SUM
    // Sums of a thousand terms each are summed themselves.
    if ((k0 - range.x) % 1024 == 1024 - TILE_K) {
#for i RA
#for c 4
#for j RB
      total_{i}_{c}_{j} += sum_{i}_{c}_{j};
      sum_{i}_{c}_{j} = vec4f();
#end
#end
#end
    }
#endif
  }

#for i RA
#for c 4
#for j RB
#if LONG_SUM
  sum_{i}_{c}_{j} += total_{i}_{c}_{j};
#endif
  store(z, m0 + (row + {i} * ROWS) * 4 + {c}, n0 + (column + {j} * COLUMNS) * 4, sum_{i}_{c}_{j});
#end
#end
#end
}
