// Sums over batch and plane of [batch, CHANNELS, PLANE], channel by channel, in two steps. First chunks: a workgroup takes CHUNK places
// (place = image · PLANE + place in the plane) of WIDE neighbouring channels, from image IMAGE on, as far as they lie in the window of x
// and dy, which begins with the tensors' element BEGIN. Then totals: a workgroup adds up the chunks of WIDE channels, THREADS / WIDE threads each.
//
// parts [CHUNKS_IN_ALL, CHANNELS] of vec4:  statistics: number, mean, sum of (x - mean)², 0    backward: sum of dy, sum of dy (x - mean), 0, 0
const THREADS = 256u;
var<workgroup> sums: array<vec4f, THREADS>;

// The sum over the threads whose number has the same rest by `width`.
fn sum_over_threads(value: vec4f, local: u32, width: u32) -> vec4f {
  workgroupBarrier();
  sums[local] = value;
  for (var half = THREADS / 2u; half >= width; half /= 2u) {
    workgroupBarrier();
    if (local < half) {
      sums[local] += sums[local + half];
    }
  }
  workgroupBarrier();
  return sums[local % width];
}

#if chunks
fn index_of(channel: u32, place: u32) -> u32 {
  return ((IMAGE + place / PLANE) * CHANNELS + channel) * PLANE + place % PLANE - BEGIN;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let number = group.y * GRID_X + group.x;
  let chunk = number / BLOCKS;
  // Channels behind the last take its part, unstored.
  let wanted = number % BLOCKS * WIDE + local % WIDE;
  let channel = min(wanted, CHANNELS - 1u);
  let first = chunk * CHUNK + local / WIDE;
  let end = min(PLACES, (chunk + 1u) * CHUNK);
  var sum = vec4f();
#if statistics
  for (var place = first; place < end; place += THREADS / WIDE) {
    let i = index_of(channel, place);
    if (i < LENGTH) {
      sum += vec4f(1f, x[i], 0f, 0f);
    }
  }
  let rough = sum_over_threads(sum, local, WIDE);
  let middle = rough.y / max(rough.x, 1f);
  // What the rounded mean is off by shows in the sum of differences.
  sum = vec4f();
  for (var place = first; place < end; place += THREADS / WIDE) {
    let i = index_of(channel, place);
    if (i < LENGTH) {
      let difference = x[i] - middle;
      sum += vec4f(difference, difference * difference, 0f, 0f);
    }
  }
  let rest = sum_over_threads(sum, local, WIDE);
  let off = rest.x / max(rough.x, 1f);
  let part = vec4f(rough.x, middle + off, rest.y - rest.x * off, 0f);
#else
  let middle = mean[channel];
  for (var place = first; place < end; place += THREADS / WIDE) {
    let i = index_of(channel, place);
    if (i < LENGTH) {
      sum += vec4f(dy[i], dy[i] * (x[i] - middle), 0f, 0f);
    }
  }
  let part = sum_over_threads(sum, local, WIDE);
#endif
  if (local < WIDE && wanted < CHANNELS && chunk < CHUNKS) {
    parts[(FIRST_CHUNK + chunk) * CHANNELS + channel] = part;
  }
}
#else

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let wanted = (group.y * GRID_X + group.x) * WIDE + local % WIDE;
  let channel = min(wanted, CHANNELS - 1u);
  let first = local / WIDE;
  var sum = vec4f();
#if statistics
  // The mean of the chunks' means, as it differs from the first one's; then squares about it.
  let near = parts[channel].y;
  for (var chunk = first; chunk < CHUNKS; chunk += THREADS / WIDE) {
    let part = parts[chunk * CHANNELS + channel];
    sum += vec4f(part.x * (part.y - near), 0f, 0f, 0f);
  }
  let middle = near + sum_over_threads(sum, local, WIDE).x / COUNT;
  sum = vec4f();
  for (var chunk = first; chunk < CHUNKS; chunk += THREADS / WIDE) {
    let part = parts[chunk * CHANNELS + channel];
    let difference = part.y - middle;
    sum += vec4f(part.z + part.x * difference * difference, 0f, 0f, 0f);
  }
  let squares = sum_over_threads(sum, local, WIDE).x;
  if (local < WIDE && wanted < CHANNELS) {
    mean[channel] = middle;
    invStd[channel] = 1f / sqrt(squares / COUNT + u.eps);
    runningMean[channel] = (1f - u.momentum) * runningMean[channel] + u.momentum * middle;
    runningVar[channel] = (1f - u.momentum) * runningVar[channel] + u.momentum * (squares / (COUNT - 1f));
  }
#else
  for (var chunk = first; chunk < CHUNKS; chunk += THREADS / WIDE) {
    sum += parts[chunk * CHANNELS + channel];
  }
  let total = sum_over_threads(sum, local, WIDE);
  if (local < WIDE && wanted < CHANNELS) {
    dBias[channel] = total.x;
    dWeight[channel] = total.y * invStd[channel];
  }
#endif
}
#endif
