// Random words by counter, Threefry-2x32 with 20 rounds, to the bit as src/core/random.ts. Element e takes word e & 1 of block e >> 1.
fn rotated(v: vec2u, by: u32) -> vec2u {
  return (v << vec2u(by)) | (v >> vec2u(32u - by));
}

// The words of blocks `block` and `block` + 1, in element order.
fn random_words(block: u32) -> vec4u {
  var keys = array(u.key0, u.key1, 0x1bd11bdau ^ u.key0 ^ u.key1);
  var rotations = array(vec4u(13u, 15u, 26u, 6u), vec4u(17u, 29u, 16u, 24u));
  // The first words of both blocks, and the second ones.
  var first = vec2u(block, block + 1u) + u.key0;
  var second = vec2u(u.counter + u.key1);
  for (var turn = 0u; turn < 5u; turn++) {
    for (var i = 0u; i < 4u; i++) {
      first += second;
      second = rotated(second, rotations[turn % 2u][i]) ^ first;
    }
    first += keys[(turn + 1u) % 3u];
    second += keys[(turn + 2u) % 3u] + turn + 1u;
  }
  return vec4u(first.x, second.x, first.y, second.y);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i >= VECTORS) {
    return;
  }
  let words = random_words(BLOCK + i * 2u);
#if dropout
  y[i] = select(vec4f(), x[i] * u.scale, words >= vec4u(u.threshold));
#endif
#if fillUniform
  y[i] = (vec4f(words >> vec4u(8u)) / 8388608f - 1f) * u.scale;
#endif
#if fillNormal
  y[i] = vec4f(normals(words.xy), normals(words.zw)) * u.scale;
#endif
}

#if fillNormal
// Two normal values (Box and Muller 1958).
fn normals(words: vec2u) -> vec2f {
  // log of (word + 0.5) / 2^32, by its distance from 1 where that has the digits.
  let share = (f32(words.x) + 0.5f) / 4294967296f;
  let over = (f32(~words.x) + 0.5f) / -4294967296f;
  return sqrt(-2f * log_of(share, over)) * cos_sin(words.y);
}
#endif
