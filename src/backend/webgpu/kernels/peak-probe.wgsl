// Products of matrices in registers: eight threads a grain, each with a row of 16 sums, of which every product adds 1 to each.
var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  // Equal, which the compiler must not know: it would keep one sum of sixteen.
  let a = vec4f(u.a0, u.a1, u.a2, u.a3);
  let b0 = vec4f(u.b0);
  let b1 = vec4f(u.b1);
  let b2 = vec4f(u.b2);
  let b3 = vec4f(u.b3);
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  for (var product = 0u; product < u.products; product++) {
    for (var term = 0u; term < TERMS; term += 8) {
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
      s0 = fma(a, b0, s0); s1 = fma(a, b1, s1); s2 = fma(a, b2, s2); s3 = fma(a, b3, s3);
    }
  }
  sums[local] = dot(s0 + s1 + s2 + s3, vec4f(1));
  workgroupBarrier();
  let grain = (group.y * GRID_X + group.x) * 8 + local;
  if (local < 8 && grain < GRAINS) {
    var sum = 0f;
    for (var i = 0u; i < 8; i++) {
      sum += sums[local * 8 + i];
    }
    y[grain] = sum / ELEMENTS;
  }
}
