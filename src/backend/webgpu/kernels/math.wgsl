// exp, log and sine to a unit or two of the last place, whatever a driver's own are. Polynomials: Cephes (S. L. Moshier).
fn is_nan(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

fn is_finite(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u;
}

// A constant that is not a number is refused.
fn nan() -> f32 {
  var bits = 0x7fc00000u;
  return bitcast<f32>(bits);
}

// e^v - less, of v up to 88; less is 0, or 1 for all digits of what is left near v = 0. 0 - less below -87; NaN stays.
fn exp_less(v: f32, less: f32) -> f32 {
  let low = v < -87f;
  let w = select(v, 0f, low);
  // w = k ln 2 + r, of which k's product with the first part of ln 2 is exact.
  let k = round(w * 1.44269504f);
  let r = w - k * 0.693359375f + k * 2.12194440e-4f;
  let q = ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r
    + 1.6666665459e-1f) * r + 5.0000001201e-1f;
  let power = bitcast<f32>(u32(i32(k) + 127) << 23u);
  return select((power - less) + power * (q * r * r + r), -less, low);
}

// log(v) of a normal positive v; `over` is v - 1, with all its digits where v is near 1.
fn log_of(v: f32, over: f32) -> f32 {
  // v = 2^k m, m from sqrt(1/2) to sqrt(2).
  let bits = bitcast<u32>(v) + (0x3f800000u - 0x3f3504f3u);
  let k = f32(i32(bits >> 23u) - 127);
  let f = select(bitcast<f32>((bits & 0x7fffffu) + 0x3f3504f3u) - 1f, over, k == 0f);
  // 2 atanh(t)
  let t = f / (2f + f);
  let s = t * t;
  let series = (((s / 9f + 1f / 7f) * s + 0.2f) * s + 1f / 3f) * s;
  return k * 0.693359375f + (2f * (t + t * series) - k * 2.12194440e-4f);
}

// Cosine and sine of a whole turn's share turns / 2^32.
fn cos_sin(turns: u32) -> vec2f {
  // The nearest quarter, and what is left: -pi/4 to pi/4.
  let quarter = (turns + 0x20000000u) >> 30u;
  let r = f32(bitcast<i32>(turns - (quarter << 30u))) * 1.46291808e-9f;
  let s = r * r;
  let sine = ((-1.9515295891e-4f * s + 8.3321608736e-3f) * s - 1.6666654611e-1f) * s * r + r;
  let cosine = ((2.443315711809948e-5f * s - 1.388731625493765e-3f) * s + 4.166664568298827e-2f) * s * s - 0.5f * s + 1f;
  let both = select(vec2f(cosine, sine), vec2f(-sine, cosine), (quarter & 1u) == 1u);
  return select(both, -both, (quarter & 2u) == 2u);
}
