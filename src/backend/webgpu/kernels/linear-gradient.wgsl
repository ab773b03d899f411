// What becomes of element i of a piece of a weight's gradient, which is computed in fours where rows are whole fours.
#if wide
alias Values = vec4f;
#else
alias Values = f32;
#endif

#if dWeight
fn update(i: u32, gradient: Values) {
#if accumulate
  dWeight[i] += gradient;
#else
  dWeight[i] = gradient;
#endif
}
#endif
