// Images for int8 weights, one a workgroup: whole numbers of steps, which are the largest magnitude / 32767, ties to even. The step is NaN
// where not all of an image is finite.
#if wide
alias Values = vec4f;
alias Words = vec4u;
const STEP = 4u;
#else
alias Values = f32;
alias Words = u32;
const STEP = 1u;
#endif

const COUNT = IN / STEP;
var<workgroup> largest: array<u32, 256>;

fn larger(a: u32, words: Words) -> u32 {
#if wide
  return max(max(max(a, words.x), max(words.y, words.z)), words.w);
#else
  return max(a, words);
#endif
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let first = group.y * COUNT;
  // Magnitudes as bits have the order of their values, and all that is not finite is above.
  var most = 0u;
  for (var i = local; i < COUNT; i += 256) {
    most = larger(most, bitcast<Words>(x[first + i]) & Words(0x7fffffff));
  }
  largest[local] = most;
  for (var half = 128u; half > 0; half /= 2) {
    workgroupBarrier();
    if (local < half) {
      largest[local] = max(largest[local], largest[local + half]);
    }
  }
  workgroupBarrier();
  let bits = largest[0];
  // Steps that are no normal numbers count as 0: 2^-111.
  let small = bits < 0x08000000;
  let step = select(bitcast<f32>(bits) / 32767, 1, small);
  let finite = bits < 0x7f800000;
  for (var i = local; i < COUNT; i += 256) {
    let value = clamp(round(x[first + i] / step), Values(-32767), Values(32767));
    rounded[first + i] = select(Values(), value, finite && !small);
  }
  if (local == 0) {
    steps[group.y] = bitcast<f32>(select(0x7fc00000, bitcast<u32>(step), finite));
  }
}
