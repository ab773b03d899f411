// A sum becomes y[image, u.row + column]. Where the output's weights lie in several pieces, each adds its own; the last goes on to the rest.
fn finish(image: u32, column: u32, sum: f32) {
  let o = u.row + column;
  let e = image * u.outputs + o;
  var v = sum;
#if steps
  v *= steps[image] * scale[o];
#endif
  if (o * u.inputs < u.begin) {
    v += y[e];
  }
  if ((o + 1) * u.inputs <= u.end) {
#if bias
    v += bias[o];
#endif
#if relu
    v = select(v, 0, v < 0);
#endif
  }
  y[e] = v;
}
