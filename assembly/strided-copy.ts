// Copies a block of three dimensions between two layouts: parts of tensors side by side (concat), a window (crop), channels
// moved behind height and width. A grain is `rows` rows of size2 elements; y is written where the block lies, nowhere else.

/** Argument record of stridedCopy; strides in elements, x and y at the block's first element. */
@unmanaged
export class StridedCopyArgs {
  x: usize;
  y: usize;
  size0: i32;
  size1: i32;
  size2: i32;
  xStride0: i32;
  xStride1: i32;
  xStride2: i32;
  yStride0: i32;
  yStride1: i32;
  yStride2: i32;
  /** Rows of one grain; row r is (r / size1, r % size1). */
  rows: i32;
}

export function stridedCopy(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<StridedCopyArgs>(args);
  const end = min(s.size0 * s.size1, grainEnd * s.rows);
  const xStep = (<usize>s.xStride2) << 2;
  const yStep = (<usize>s.yStride2) << 2;
  for (let row = grainBegin * s.rows; row < end; row++) {
    const i = <usize>(row / s.size1);
    const j = <usize>(row % s.size1);
    let x = s.x + ((i * s.xStride0 + j * s.xStride1) << 2);
    let y = s.y + ((i * s.yStride0 + j * s.yStride1) << 2);
    if (xStep == 4 && yStep == 4) {
      memory.copy(y, x, (<usize>s.size2) << 2);
      continue;
    }
    for (let k = 0; k < s.size2; k++) {
      store<f32>(y, load<f32>(x));
      x += xStep;
      y += yStep;
    }
  }
}
