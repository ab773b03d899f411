// Winograd's one-dimensional transforms (Lavin and Gray 2015) for tiles of m = 2 or 4 outputs and a filter of 3 taps: a tile reads
// ALPHA = m + 2 inputs and takes as many products. Each function transforms all columns of a square at once: its rows are the elements of
// the lines. Twice, with the square turned in between, makes the two-dimensional transform, which so comes out turned: planes hold
// place [j][i] of a tile, everywhere.
//
//   input_lines     Bᵀ   ALPHA → ALPHA   V = Bᵀ·d·B             filter_lines    G    3 → ALPHA   U = G·g·Gᵀ
//   output_lines    Aᵀ   ALPHA → m       Y = Aᵀ·(U∘V summed)·A   and for the weight gradient, the transposes of the last two:
//   gradient_lines  A    m → ALPHA       Z = A·dy·Aᵀ             inverse_lines   Gᵀ   ALPHA → 3   dg = Gᵀ·(Z∘V summed)·G
//
//   F(2)  Bᵀ  1  0 −1  0     Aᵀ  1  1  1  0     G  1   0   0        points 0, 1, −1, ∞
//             0  1  1  0         0  1 −1 −1        ½   ½   ½
//             0 −1  1  0                           ½  −½   ½
//             0  1  0 −1                           0   0   1
//
//   F(4)  Bᵀ  4  0 −5  0 1 0     Aᵀ  1  1  1  1  1  0     G   1/4     0    0       points 0, ±1, ±2, ∞
//             0 −4 −4  1 1 0         0  1 −1  2 −2  0        −1/6  −1/6 −1/6
//             0  4 −4 −1 1 0         0  1  1  4  4  0        −1/6   1/6 −1/6
//             0 −2 −1  2 1 0         0  1 −1  8 −8  1        1/24  1/12  1/6
//             0  2 −1 −2 1 0                                 1/24 −1/12  1/6
//             0  4  0 −5 0 1                                    0     0    1
//
// A row of six is a matrix of two columns, since those add up and scale as vectors do. Squares are indexed by numbers alone, never in loops:
// no compiler has to unroll anything to keep them in registers. Rows and columns beyond m or 3 are 0.
#if tile4
alias Row = mat2x3f;
#else
alias Row = vec4f;
#endif
alias Square = array<Row, ALPHA>;

#if tile4
fn turned(s: Square) -> Square {
  let a = transpose(mat3x3f(s[0][0], s[1][0], s[2][0]));
  let b = transpose(mat3x3f(s[0][1], s[1][1], s[2][1]));
  let c = transpose(mat3x3f(s[3][0], s[4][0], s[5][0]));
  let d = transpose(mat3x3f(s[3][1], s[4][1], s[5][1]));
  return Square(
    Row(a[0], c[0]), Row(a[1], c[1]), Row(a[2], c[2]),
    Row(b[0], d[0]), Row(b[1], d[1]), Row(b[2], d[2]));
}

fn input_lines(d: Square) -> Square {
  let even1 = d[4] - 4 * d[2];
  let odd1 = d[3] - 4 * d[1];
  let even2 = d[4] - d[2];
  let odd2 = 2 * (d[3] - d[1]);
  return Square(
    4 * d[0] - 5 * d[2] + d[4], even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, 4 * d[1] - 5 * d[3] + d[5]);
}

fn output_lines(s: Square) -> Square {
  let sum1 = s[1] + s[2];
  let difference1 = s[1] - s[2];
  let sum2 = s[3] + s[4];
  let difference2 = s[3] - s[4];
  return Square(
    s[0] + sum1 + sum2, difference1 + 2 * difference2, sum1 + 4 * sum2, difference1 + 8 * difference2 + s[5],
    Row(), Row());
}

fn gradient_lines(s: Square) -> Square {
  let even1 = s[0] + s[2];
  let odd1 = s[1] + s[3];
  let even2 = s[0] + 4 * s[2];
  let odd2 = 2 * s[1] + 8 * s[3];
  return Square(s[0], even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2, s[3]);
}

fn filter_lines(g: Square) -> Square {
  let ends = g[0] + g[2];
  let even = g[0] + 4 * g[2];
  let odd = 2 * g[1];
  const first = -1f / 6;
  const second = 1f / 24;
  return Square(0.25 * g[0], first * (ends + g[1]), first * (ends - g[1]), second * (even + odd), second * (even - odd), g[2]);
}

fn inverse_lines(s: Square) -> Square {
  let sum1 = s[1] + s[2];
  let difference1 = s[1] - s[2];
  let sum2 = s[3] + s[4];
  let difference2 = s[3] - s[4];
  const sixth = 1f / 6;
  return Square(
    0.25 * s[0] - sixth * sum1 + sixth / 4 * sum2, sixth / 2 * difference2 - sixth * difference1,
    sixth * (sum2 - sum1) + s[5], Row(), Row(), Row());
}
#else
fn turned(s: Square) -> Square {
  let t = transpose(mat4x4f(s[0], s[1], s[2], s[3]));
  return Square(t[0], t[1], t[2], t[3]);
}

fn input_lines(d: Square) -> Square {
  return Square(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
}

fn output_lines(s: Square) -> Square {
  return Square(s[0] + s[1] + s[2], s[1] - s[2] - s[3], Row(), Row());
}

fn gradient_lines(s: Square) -> Square {
  return Square(s[0], s[0] + s[1], s[0] - s[1], -s[1]);
}

fn filter_lines(g: Square) -> Square {
  let ends = g[0] + g[2];
  return Square(g[0], 0.5 * (ends + g[1]), 0.5 * (ends - g[1]), g[2]);
}

fn inverse_lines(s: Square) -> Square {
  let half = 0.5 * (s[1] + s[2]);
  return Square(s[0] + half, 0.5 * (s[1] - s[2]), s[3] + half, Row());
}
#endif

// The places of a tile lie in ALPHA² planes, PLANE elements apart; what is to be multiplied in half precision is stored in that.
#if spread
#if f16
alias Number = f16;
#else
alias Number = f32;
#endif

fn put_row(at: u32, r: Row) {
#if tile4
  planes[at] = Number(r[0].x);
  planes[at + PLANE] = Number(r[0].y);
  planes[at + 2 * PLANE] = Number(r[0].z);
  planes[at + 3 * PLANE] = Number(r[1].x);
  planes[at + 4 * PLANE] = Number(r[1].y);
  planes[at + 5 * PLANE] = Number(r[1].z);
#else
  planes[at] = Number(r.x);
  planes[at + PLANE] = Number(r.y);
  planes[at + 2 * PLANE] = Number(r.z);
  planes[at + 3 * PLANE] = Number(r.w);
#endif
}

fn put_square(at: u32, s: Square) {
  put_row(at, s[0]);
  put_row(at + ALPHA * PLANE, s[1]);
  put_row(at + 2 * ALPHA * PLANE, s[2]);
  put_row(at + 3 * ALPHA * PLANE, s[3]);
#if tile4
  put_row(at + 4 * ALPHA * PLANE, s[4]);
  put_row(at + 5 * ALPHA * PLANE, s[5]);
#endif
}
#else
fn get_row(at: u32) -> Row {
#if tile4
  return Row(
    planes[at], planes[at + PLANE], planes[at + 2 * PLANE],
    planes[at + 3 * PLANE], planes[at + 4 * PLANE], planes[at + 5 * PLANE]);
#else
  return Row(planes[at], planes[at + PLANE], planes[at + 2 * PLANE], planes[at + 3 * PLANE]);
#endif
}

fn get_square(at: u32) -> Square {
  return Square(
    get_row(at), get_row(at + ALPHA * PLANE), get_row(at + 2 * ALPHA * PLANE), get_row(at + 3 * ALPHA * PLANE),
#if tile4
    get_row(at + 4 * ALPHA * PLANE), get_row(at + 5 * ALPHA * PLANE),
#endif
  );
}
#endif
