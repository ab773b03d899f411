// Elements of a weight from element e of its piece on: four where rows are whole fours, or one.
#if float16
// Halves in the lower and upper 16 bits, by bits: drivers may take subnormal ones for 0. They are all finite.
fn halves(words: vec4u) -> vec4f {
  let magnitude = words & vec4u(0x7fff);
  let small = magnitude < vec4u(0x400);
  let v = bitcast<vec4f>((magnitude << vec4u(13)) + select(vec4u(0x38000000), vec4u(0x38800000), small));
  let exact = v - select(vec4f(), vec4f(0x1p-14f), small);
  return bitcast<vec4f>(bitcast<vec4u>(exact) | ((words & vec4u(0x8000)) << vec4u(16)));
}
#endif

#if wide
fn four(e: u32) -> vec4f {
  let words = weight[e / 4];
#if float16
  return halves(vec4u(words.x & 0xffff, words.x >> 16, words.y & 0xffff, words.y >> 16));
#else
#if int8
  return vec4f(unpack4xI8(words));
#else
  return words;
#endif
#endif
}
#else
fn one(e: u32) -> f32 {
#if float16
  return halves(vec4u(weight[e / 2] >> (e % 2 * 16))).x;
#else
#if int8
  return f32(extractBits(bitcast<i32>(weight[e / 4]), e % 4 * 8, 8));
#else
  return weight[e];
#endif
#endif
}
#endif
