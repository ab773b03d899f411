// A sum becomes dx[image, column]: pieces of the weight after the first add to it.
fn finish(image: u32, column: u32, sum: f32) {
  let e = image * u.inputs + column;
  var v = sum;
#if later
  v += dx[e];
#endif
#if last
#if mask
  v = select(0, v, mask[e] > 0);
#endif
#endif
  dx[e] = v;
}
