// Pooling, a thread an output; gradients gather: a thread an input place, which looks at the outputs whose windows hold it. Places are
// vectors [row, column]. Long sums are sums of rows.
const IN = vec2u(IN_H, IN_W);
const OUT = vec2u(OUT_H, OUT_W);
#if !adaptive
const KERNEL = vec2u(K_H, K_W);
const STRIDE = vec2u(STRIDE_H, STRIDE_W);
const PAD = vec2u(PAD_H, PAD_W);
#endif

// From begin to the place before end, on both axes.
struct Span {
  begin: vec2u,
  end: vec2u,
}

// The places inside the input that output o looks at.
fn window_of(o: vec2u) -> Span {
#if adaptive
  return Span(o * IN / OUT, ((o + 1) * IN + OUT - 1) / OUT);
#else
  let corner = o * STRIDE;
  return Span(max(corner, PAD) - PAD, min(corner + KERNEL, IN + PAD) - PAD);
#endif
}

// The outputs that look at place i of the input.
fn outputs_of(i: vec2u) -> Span {
#if adaptive
  return Span(i * OUT / IN, ((i + 1) * OUT + IN - 1) / IN);
#else
  let at = i + PAD;
  return Span(select(vec2u(), (at - KERNEL) / STRIDE + 1, at >= KERNEL), min(at / STRIDE + 1, OUT));
#endif
}

// What a winner is called: the place in the window; in adaptive windows, whose sizes differ, the place in the plane.
fn place_of(i: vec2u, o: vec2u) -> u32 {
#if adaptive
  return i.x * IN_W + i.y;
#else
  let place = i + PAD - o * STRIDE;
  return place.x * K_W + place.y;
#endif
}

// What output o's sum is divided by.
fn divisor_of(o: vec2u) -> f32 {
#if COUNT_PAD
  let corner = o * STRIDE;
  let counted = min(corner + KERNEL, IN + 2 * PAD) - corner;
#else
  let window = window_of(o);
  let counted = window.end - window.begin;
#endif
  return f32(counted.x * counted.y);
}

fn is_nan(v: f32) -> bool {
  return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let id = (group.y * GRID_X + group.x) * 64u + local;
  if (id >= COUNT) {
    return;
  }
#if forward
  let o = vec2u(id / OUT_W % OUT_H, id % OUT_W);
  let plane = id / (OUT_H * OUT_W) * (IN_H * IN_W);
  let window = window_of(o);
#if largest
  // The first of equals wins, and NaN over all.
  var best = x[plane + window.begin.x * IN_W + window.begin.y];
  var winner = window.begin;
  for (var h = window.begin.x; h < window.end.x; h++) {
    for (var w = window.begin.y; w < window.end.y; w++) {
      let v = x[plane + h * IN_W + w];
      if (is_nan(v) || (v > best && !is_nan(best))) {
        best = v;
        winner = vec2u(h, w);
      }
    }
  }
  y[id] = best;
#if winners
  winners[id] = place_of(winner, o);
#endif
#else
  var sum = 0f;
  for (var h = window.begin.x; h < window.end.x; h++) {
    var row = 0f;
    for (var w = window.begin.y; w < window.end.y; w++) {
      row += x[plane + h * IN_W + w];
    }
    sum += row;
  }
  y[id] = sum / divisor_of(o);
#endif
#else
  let i = vec2u(id / IN_W % IN_H, id % IN_W);
  let plane = id / (IN_H * IN_W) * (OUT_H * OUT_W);
  let outputs = outputs_of(i);
  var sum = 0f;
  for (var h = outputs.begin.x; h < outputs.end.x; h++) {
    var row = 0f;
    for (var w = outputs.begin.y; w < outputs.end.y; w++) {
      let o = plane + h * OUT_W + w;
#if largest
      if (winners[o] == place_of(i, vec2u(h, w))) {
        row += dy[o];
      }
#else
      row += dy[o] / divisor_of(vec2u(h, w));
#endif
    }
    sum += row;
  }
  dx[id] = sum;
#endif
}
