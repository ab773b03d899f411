// A weight's gradient of few images: each thread adds up an element, or four, of their outer products.
#if wide
const STEP = 4u;
#else
const STEP = 1u;
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  let e = u.begin + i * STEP;
  if (e < u.end) {
    let o = e / u.inputs;
    let column = e % u.inputs;
    var gradient = Values();
    for (var b = 0u; b < BATCH; b++) {
      gradient += dy[b * u.outputs + o] * x[(b * u.inputs + column) / STEP];
    }
    update(i, gradient);
  }
}
