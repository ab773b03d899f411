// A block of three dimensions from one layout to another, a thread an element: words of any type.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let e = (group.y * GRID_X + group.x) * 64u + local;
  if (e < COUNT) {
    let i = e / (SIZE1 * SIZE2);
    let j = e / SIZE2 % SIZE1;
    let k = e % SIZE2;
    y[Y_BEGIN + i * Y_STRIDE0 + j * Y_STRIDE1 + k * Y_STRIDE2] = x[X_BEGIN + i * X_STRIDE0 + j * X_STRIDE1 + k * X_STRIDE2];
  }
}
