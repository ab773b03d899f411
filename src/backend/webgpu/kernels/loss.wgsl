// Of rows of CLASSES: y = log-softmax(x), gradients, ranks. TEAM threads, a power of two, share a row; teams behind the last row do it again.
#if TEAMS
var<workgroup> partials: array<f32, 256>;

// The sum of a value over the threads of a team.
fn team_sum(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  partials[local] = value;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local % TEAM < half) {
      partials[local] += partials[local + half];
    }
  }
  workgroupBarrier();
  return partials[local - local % TEAM];
}

fn larger(one: f32, other: f32) -> f32 {
  return select(one, other, other > one || is_nan(other));
}

// The largest value of a team; NaN where there is one.
fn team_max(value: f32, local: u32) -> f32 {
  workgroupBarrier();
  partials[local] = value;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local % TEAM < half) {
      partials[local] = larger(partials[local], partials[local + half]);
    }
  }
  workgroupBarrier();
  return partials[local - local % TEAM];
}

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let row = min((group.y * GRID_X + group.x) * (GROUP / TEAM) + local / TEAM, ROWS - 1u);
  let first = row * CLASSES + local % TEAM;
  let end = (row + 1u) * CLASSES;
#if logSoftmaxForward
  var most = x[min(first, end - 1u)];
  for (var i = first; i < end; i += TEAM) {
    most = larger(most, x[i]);
  }
  let largest = team_max(most, local);
  // The largest by themselves: near 1 the sum has digits to lose.
  var count = 0f;
  var others = 0f;
  for (var i = first; i < end; i += TEAM) {
    if (x[i] == largest) {
      count += 1f;
    } else {
      others += exp_less(x[i] - largest, 0f);
    }
  }
  let over = (team_sum(count, local) - 1f) + team_sum(others, local);
  let shift = log_of(1f + over, over);
  for (var i = first; i < end; i += TEAM) {
    // Infinite: there is +infinity, or nothing else than -infinity.
    y[i] = select(nan(), (x[i] - largest) - shift, is_finite(largest));
  }
#endif
#if logSoftmaxBackward
  var part = 0f;
  for (var i = first; i < end; i += TEAM) {
    part += dy[i];
  }
  let sum = team_sum(part, local);
  for (var i = first; i < end; i += TEAM) {
    dx[i] = dy[i] - exp_less(y[i], 0f) * sum;
  }
#endif
#if labelRank
  // Ahead: what is larger, or as large and of a smaller index; NaN; of a label that is no class all others.
  let label = u32(labels[row]);
  let own = row * CLASSES + label;
  let value = x[select(0u, own, label < CLASSES)];
  let last = label >= CLASSES || is_nan(value);
  var ahead = 0f;
  for (var i = first; i < end; i += TEAM) {
    if (i != own && (last || is_nan(x[i]) || x[i] > value || (x[i] == value && i < own))) {
      ahead += 1f;
    }
  }
  let rank = team_sum(ahead, local);
  if (local % TEAM == 0u) {
    ranks[row] = i32(rank);
  }
#endif
}
#endif
#if crossEntropyBackward
// dx = (exp(y) - [the class is the label]) dLoss / rows, an element a thread.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 256u + local;
  if (i < ROWS * CLASSES) {
    let label = u32(labels[i / CLASSES]);
    let gradient = exp_less(y[i], select(0f, 1f, i % CLASSES == label)) * (dLoss[0] / f32(ROWS));
    dx[i] = select(nan(), gradient, label < CLASSES);
  }
}
#endif
#if squaredErrorBackward
// dx = factor dLoss (a - b), four elements a thread.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i < VECTORS) {
    dx[i] = u.factor * dLoss[0].x * (a[i] - b[i]);
  }
}
#endif
