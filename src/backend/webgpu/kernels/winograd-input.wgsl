// planes [places][CHANNELS][STRIDE] = V of a block of tiles of x [.., CHANNELS, HEIGHT, WIDTH]; with `gradient`, Z of tiles of dy, which is
// x here. Tile `first` of the image that begins at x[begin] is the block's first. A thread a tile of a channel: neighbouring threads read
// neighbouring places of a row and write neighbouring elements. What fills the last tiles up to a multiple of four is 0.
// Bytes a tile and channel: about 4 · m² read, 4 · ALPHA² written. In front: winograd-lines.wgsl.
#if gradient
const SIDE = OUTPUTS;
#else
const SIDE = ALPHA;
#endif

fn value_at(i: u32) -> f32 {
#if x_next
  if (i >= u.cut) { return x_next[i - u.cut]; }
#endif
  return x[i];
}

// Outside of the map 0, read from its border: all reads of a tile are under way at once.
fn element(line: u32, left: i32, j: u32, inside: bool) -> f32 {
  let w = u32(left + i32(j));
  let value = select(0, value_at(line + min(w, WIDTH - 1)), inside & (w < WIDTH) & (j < SIDE));
#if scaled
  return SCALE * value;
#else
  return value;
#endif
}

fn input_row(plane: u32, top: i32, left: i32, i: u32) -> Row {
  let h = u32(top + i32(i));
  let inside = (h < HEIGHT) & (i < SIDE);
  let line = plane + min(h, HEIGHT - 1) * WIDTH;
  return Row(
    element(line, left, 0, inside), element(line, left, 1, inside), element(line, left, 2, inside), element(line, left, 3, inside),
#if tile4
    element(line, left, 4, inside), element(line, left, 5, inside),
#endif
  );
}

fn lines(s: Square) -> Square {
#if gradient
  return gradient_lines(s);
#else
  return input_lines(s);
#endif
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let index = (group.x + group.y * GRID_X) * THREADS + local;
  let channel = index / STRIDE;
  let tile = index % STRIDE;
  if (channel >= CHANNELS || tile >= u.columns) { return; }
  let n = tile + u.first;
  let image = n / (TILES_H * TILES_W);
  let plane = u.begin + (image * CHANNELS + channel) * (HEIGHT * WIDTH);
  let top = select(i32(HEIGHT), i32(n / TILES_W % TILES_H * OUTPUTS) - i32(PAD_H), tile < u.tiles);
  let left = i32(n % TILES_W * OUTPUTS) - i32(PAD_W);
  let d = Square(
    input_row(plane, top, left, 0), input_row(plane, top, left, 1), input_row(plane, top, left, 2), input_row(plane, top, left, 3),
#if tile4
    input_row(plane, top, left, 4), input_row(plane, top, left, 5),
#endif
  );
  put_square(index, lines(turned(lines(d))));
}
