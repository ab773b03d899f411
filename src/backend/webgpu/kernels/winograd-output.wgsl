// y [.., CHANNELS, HEIGHT, WIDTH] = Y of a block of tiles whose products are in planes [places][CHANNELS][STRIDE], plus bias, rectified,
// masked, or the maxima of its windows of 2x2: HEIGHT, WIDTH and the SIDE of a tile are then those of the maxima. Tile `first` of the image
// that begins at y[begin] is the block's first. A thread a tile of a channel: neighbouring threads read neighbouring elements and write
// neighbouring runs of SIDE elements, as vectors where rows are whole numbers of them (`aligned4`, `aligned2`: y and mask are seen as such).
// Bytes a tile and channel: 4 · ALPHA² read, 4 · SIDE² written. In front: winograd-lines.wgsl.
#if aligned4
alias Element = vec4f;
const WIDE = 4u;
#else
#if aligned2
alias Element = vec2f;
const WIDE = 2u;
#else
alias Element = f32;
const WIDE = 1u;
#endif
#endif

// Of output element `at`. Elements beyond the cut lie in the next piece.
fn put(at: u32, value: Element, offset: f32) {
  let i = at / WIDE;
  var v = value;
#if scaled
  v *= 1 / SCALE;
#endif
#if bias
  v += Element(offset);
#endif
#if relu
  v = select(v, Element(), v < Element());
#endif
#if y_next
  let cut = u.cut / WIDE;
  if (i >= cut) {
#if mask
    v = select(Element(), v, mask_next[i - cut] > Element());
#endif
    y_next[i - cut] = v;
    return;
  }
#endif
#if mask
  v = select(Element(), v, mask[i] > Element());
#endif
  y[i] = v;
}

// One row of a tile.
fn put_line(plane: u32, h: u32, w: u32, v: vec4f, offset: f32) {
  if (h >= HEIGHT) { return; }
  let at = plane + h * WIDTH + w;
#if aligned4
  put(at, v, offset);
#else
#if aligned2
  put(at, v.xy, offset);
#else
  put(at, v.x, offset);
  if (SIDE > 1 && w + 1 < WIDTH) { put(at + 1, v.y, offset); }
  if (SIDE > 2 && w + 2 < WIDTH) { put(at + 2, v.z, offset); }
  if (SIDE > 2 && w + 3 < WIDTH) { put(at + 3, v.w, offset); }
#endif
#endif
}

fn line(r: Row) -> vec4f {
#if tile4
  return vec4f(r[0], r[1].x);
#else
  return r;
#endif
}

#if pool
// The larger; NaN before all.
fn larger(a: vec4f, b: vec4f) -> vec4f {
  let nan = (bitcast<vec4u>(b) & vec4u(0x7fffffff)) > vec4u(0x7f800000);
  return select(a, b, nan | (b > a));
}

fn maxima(upper: Row, lower: Row) -> vec4f {
  let columns = larger(line(upper), line(lower));
  return larger(columns.xzxz, columns.ywyw);
}
#endif

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (group.x + group.y * GRID_X) * THREADS + local;
  let channel = index / STRIDE;
  let tile = index % STRIDE;
  if (channel >= CHANNELS || tile >= u.tiles) { return; }
  let n = tile + u.first;
  let image = n / (TILES_H * TILES_W);
  let plane = u.begin + (image * CHANNELS + channel) * (HEIGHT * WIDTH);
  let h = n / TILES_W % TILES_H * SIDE;
  let w = n % TILES_W * SIDE;
  let s = output_lines(turned(output_lines(get_square(index))));
#if bias
  let offset = bias[channel];
#else
  let offset = 0f;
#endif
#if pool
  put_line(plane, h, w, maxima(s[0], s[1]), offset);
#if tile4
  put_line(plane, h + 1, w, maxima(s[2], s[3]), offset);
#endif
#else
  put_line(plane, h, w, line(s[0]), offset);
  put_line(plane, h + 1, w, line(s[1]), offset);
#if tile4
  put_line(plane, h + 2, w, line(s[2]), offset);
  put_line(plane, h + 3, w, line(s[3]), offset);
#endif
#endif
}
