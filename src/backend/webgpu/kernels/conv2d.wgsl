// Convolutions as matrix products without an im2col matrix: the loads of gemm.wgsl compute where its elements lie. Constants: conv2d.ts.
//
//   forward         C[o, pixel of y]      = sum over (c, kh, kw)      weight[o, c, kh, kw] · x at the pixel's window
//   backwardInput   C[c, pixel of dx]     = sum over (o, kh, kw)      weight[o, c, kh, kw] · dy at the outputs that saw the pixel by (kh, kw)
//   backwardWeight  C[o, (c, kh, kw)]     = sum over pixels of y      dy[o, pixel] · x at the pixel's window
//
// All gather from planes SRC_H x SRC_W of `input` (x, or dy) for pixels of a map MAP_H x MAP_W, whose (h, w) looks at row
// h · STEP_H + dh and column w · STEP_W + dw. With strides, backwardInput is a product for each of the strideH · strideW classes of pixels
// that see the same (kh, kw): the pixels of a class are a map, and every one of its terms counts.
// Offsets are u32 that wrap: what lies before row 0 is larger than any row.

// Four pixels of a channel, from a multiple of 4 on.
fn gather(channel: u32, dh: u32, dw: u32, pixel: u32) -> vec4f {
  var v = vec4f();
#if pool
  // A window of 2x2: pixels are numbered window by window.
  let window = pixel / 4;
  let h = window / (MAP_W / 2) % (MAP_H / 2) * 2 * STEP_H + dh;
  let w = window % (MAP_W / 2) * 2 * STEP_W + dw;
  let at = (window / (MAP_H * MAP_W / 4) * SRC_C + channel) * (SRC_H * SRC_W) + h * SRC_W + w;
  let left = w < SRC_W;
  let right = w + STEP_W < SRC_W;
  if (h < SRC_H) {
    if (left) { v.x = input[at]; }
    if (right) { v.y = input[at + STEP_W]; }
  }
  if (h + STEP_H < SRC_H) {
    if (left) { v.z = input[at + STEP_H * SRC_W]; }
    if (right) { v.w = input[at + STEP_H * SRC_W + STEP_W]; }
  }
#else
#if IN_ROWS
  // All four are in one row.
  let h = pixel / MAP_W % MAP_H * STEP_H + dh;
  if (h >= SRC_H) {
    return v;
  }
  let w = pixel % MAP_W * STEP_W + dw;
  let at = ((pixel / (MAP_H * MAP_W) * SRC_C + channel) * SRC_H + h) * SRC_W;
#if INPUT_VECTORS
  // Rows are whole vectors and lie one beside the other: two vectors have all four.
  let shift = w % 4;
  let first = w - shift;
  if (first < SRC_W) {
    v = input[(at + first) / 4];
  }
  if (shift == 0) {
    return v;
  }
  var next = vec4f();
  if (first + 4 < SRC_W) {
    next = input[(at + first + 4) / 4];
  }
  if (shift == 1) {
    return vec4f(v.yzw, next.x);
  }
  if (shift == 2) {
    return vec4f(v.zw, next.xy);
  }
  v = vec4f(v.w, next.xyz);
#else
#for j 4
  if (w + {j} * STEP_W < SRC_W) { v[{j}] = input[at + w + {j} * STEP_W]; }
#end
#endif
#else
  var map_w = pixel % MAP_W;
  var map_h = pixel / MAP_W % MAP_H;
  var plane = (pixel / (MAP_H * MAP_W) * SRC_C + channel) * SRC_H;
#for j 4
  {
    let h = map_h * STEP_H + dh;
    let w = map_w * STEP_W + dw;
    if (h < SRC_H && w < SRC_W && pixel + {j} < PIXELS) { v[{j}] = input[(plane + h) * SRC_W + w]; }
    map_w++;
    if (map_w == MAP_W) {
      map_w = 0;
      map_h++;
      if (map_h == MAP_H) {
        map_h = 0;
        plane += SRC_C * SRC_H;
      }
    }
  }
#end
#endif
#endif
  return v;
}

#if forward
fn k_range(z: u32) -> vec2u {
  return vec2u(0, TAPS);
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  let at = (z * GROUP_OUT + m) * TAPS + k;
#if WEIGHT_VECTORS
  return select(vec4f(), weight[at / 4], k < TAPS);
#else
  var v = vec4f();
#for j 4
  if (k + {j} < TAPS) { v[{j}] = weight[at + {j}]; }
#end
  return v;
#endif
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  if (k >= TAPS) {
    return vec4f();
  }
  let place = k % (KERNEL_H * KERNEL_W);
  return gather(z * GROUP_IN + k / (KERNEL_H * KERNEL_W), place / KERNEL_W * DILATION_H - PAD_H, place % KERNEL_W * DILATION_W - PAD_W, n);
}

fn rectified(v: vec4f) -> vec4f {
#if relu
  // NaN is not below 0, and stays.
  return select(v, vec4f(), v < vec4f());
#else
  return v;
#endif
}

fn store(z: u32, m: u32, n: u32, sums: vec4f) {
  if (m >= GROUP_OUT || n >= PIXELS) {
    return;
  }
  let channel = z * GROUP_OUT + m;
  var v = sums;
#if bias
  v += bias[channel];
#endif
  v = rectified(v);
#if pool
  let window = n / 4;
  var largest = v.x;
#for j 4
  if (v[{j}] > largest || (bitcast<u32>(v[{j}]) & 0x7fffffff) > 0x7f800000) { largest = v[{j}]; }
#end
  y[(window / (MAP_H * MAP_W / 4) * OUT_C + channel) * (MAP_H * MAP_W / 4) + window % (MAP_H * MAP_W / 4)] = largest;
#else
  let pixel = n % (MAP_H * MAP_W);
  let at = (n / (MAP_H * MAP_W) * OUT_C + channel) * (MAP_H * MAP_W) + pixel;
#if OUTPUT_VECTORS
  y[at / 4] = v;
#else
  // The next image's plane of this channel begins after those of all channels.
#for j 4
  if (n + {j} < PIXELS) { y[at + {j} + (pixel + {j}) / (MAP_H * MAP_W) * (OUT_C - 1) * (MAP_H * MAP_W)] = v[{j}]; }
#end
#endif
#endif
}
#endif

#if backwardInput
// Class z: pixels (h + i · STRIDE_H, w + j · STRIDE_W). Places kh and kw of the kernel are the first that see them, others follow in steps of
// EVERY; place · DILATION agrees with pixel + PAD modulo STRIDE. Where it never does, the class is empty.
struct Class { group: u32, h: u32, w: u32, kh: u32, kw: u32, empty: bool }

fn class_of(z: u32) -> Class {
  var c: Class;
  c.group = z / (STRIDE_H * STRIDE_W);
  c.h = z / STRIDE_W % STRIDE_H;
  c.w = z % STRIDE_W;
  let h = (c.h + PAD_H) % STRIDE_H;
  let w = (c.w + PAD_W) % STRIDE_W;
  c.empty = h % COMMON_H != 0 || w % COMMON_W != 0;
  c.kh = h / COMMON_H * INVERSE_H % EVERY_H;
  c.kw = w / COMMON_W * INVERSE_W % EVERY_W;
  return c;
}

fn k_range(z: u32) -> vec2u {
  return vec2u(0, select(TERMS, 0, class_of(z).empty));
}

// Term k: output channel k / (PLACES_H · PLACES_W) of the group, at a place of the kernel.
struct Term { o: u32, kh: u32, kw: u32, inside: bool }

fn term_of(c: Class, k: u32) -> Term {
  var t: Term;
  t.o = k / (PLACES_H * PLACES_W);
  t.kh = c.kh + k / PLACES_W % PLACES_H * EVERY_H;
  t.kw = c.kw + k % PLACES_W * EVERY_W;
  t.inside = t.o < GROUP_OUT && t.kh < KERNEL_H && t.kw < KERNEL_W;
  return t;
}

// The weight has its input channels last: turned [outC][kH · kW][inC / groups].
fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  let c = class_of(z);
  let t = term_of(c, k);
  var v = vec4f();
  if (!t.inside) {
    return v;
  }
  let at = (((c.group * GROUP_OUT + t.o) * KERNEL_H + t.kh) * KERNEL_W + t.kw) * GROUP_IN + m;
#if WEIGHT_VECTORS
  v = weight[at / 4];
#else
#for j 4
  if (m + {j} < GROUP_IN) { v[{j}] = weight[at + {j}]; }
#end
#endif
  return v;
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  let c = class_of(z);
  let t = term_of(c, k);
  if (!t.inside) {
    return vec4f();
  }
  let dh = (i32(c.h + PAD_H) - i32(t.kh * DILATION_H)) / i32(STRIDE_H);
  let dw = (i32(c.w + PAD_W) - i32(t.kw * DILATION_W)) / i32(STRIDE_W);
  return gather(c.group * GROUP_OUT + t.o, bitcast<u32>(dh), bitcast<u32>(dw), n);
}

fn store(z: u32, m: u32, n: u32, sums: vec4f) {
  if (m >= GROUP_IN || n >= PIXELS) {
    return;
  }
  let c = class_of(z);
  let channel = c.group * GROUP_IN + m;
  var v = sums;
#if bias
  v += bias[channel];
#endif
#if OUTPUT_VECTORS
  let at = ((n / (IN_H * IN_W) * IN_C + channel) * (IN_H * IN_W) + n % (IN_H * IN_W)) / 4;
#if mask
  v = select(vec4f(), v, mask[at] > vec4f());
#endif
  dx[at] = v;
#else
#for j 4
  {
    let pixel = n + {j};
    let h = pixel / MAP_W % MAP_H * STRIDE_H + c.h;
    let w = pixel % MAP_W * STRIDE_W + c.w;
    if (pixel < PIXELS && h < IN_H && w < IN_W) {
      let at = ((pixel / (MAP_H * MAP_W) * IN_C + channel) * IN_H + h) * IN_W + w;
#if mask
      dx[at] = select(0, v[{j}], mask[at] > 0);
#else
      dx[at] = v[{j}];
#endif
    }
  }
#end
#endif
}
#endif

#if backwardWeight
// z: the group, and of the pixels that are summed which chunk.
fn k_range(z: u32) -> vec2u {
  let begin = z % CHUNKS * CHUNK;
  return vec2u(begin, min(PIXELS, begin + CHUNK));
}

fn load_a(z: u32, m: u32, k: u32) -> vec4f {
  var v = vec4f();
  if (k >= PIXELS) {
    return v;
  }
  let channel = z / CHUNKS * GROUP_OUT + m;
  let pixel = k % (MAP_H * MAP_W);
  let at = (k / (MAP_H * MAP_W) * OUT_C + channel) * (MAP_H * MAP_W) + pixel;
#if DY_VECTORS
  v = dy[at / 4];
#else
#for j 4
  if (k + {j} < PIXELS) { v[{j}] = dy[at + {j} + (pixel + {j}) / (MAP_H * MAP_W) * (OUT_C - 1) * (MAP_H * MAP_W)]; }
#end
#endif
  return v;
}

fn load_b(z: u32, n: u32, k: u32) -> vec4f {
  if (k >= PIXELS) {
    return vec4f();
  }
  let place = n % (KERNEL_H * KERNEL_W);
  let channel = z / CHUNKS * GROUP_IN + n / (KERNEL_H * KERNEL_W);
  return gather(channel, place / KERNEL_W * DILATION_H - PAD_H, place % KERNEL_W * DILATION_W - PAD_W, k);
}

fn store(z: u32, m: u32, n: u32, sums: vec4f) {
  if (m >= GROUP_OUT || n >= TAPS) {
    return;
  }
  let at = (z % CHUNKS * OUT_C + z / CHUNKS * GROUP_OUT + m) * TAPS + n;
#if OUTPUT_VECTORS
#if accumulate
  dWeight[at / 4] += sums;
#else
  dWeight[at / 4] = sums;
#endif
#else
#for j 4
  if (n + {j} < TAPS) {
#if accumulate
    dWeight[at + {j}] += sums[{j}];
#else
    dWeight[at + {j}] = sums[{j}];
#endif
  }
#end
#endif
}
#endif
