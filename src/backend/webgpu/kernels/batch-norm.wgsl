#if batchNormRunning
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let channel = (group.y * GRID_X + group.x) * 64u + local;
  if (channel < CHANNELS) {
    mean[channel] = runningMean[channel];
    invStd[channel] = 1f / sqrt(runningVar[channel] + u.eps);
  }
}
#else
// Four elements a thread, of [batch, CHANNELS, PLANE] from element BEGIN on; `channels` of them.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let i = (group.y * GRID_X + group.x) * 64u + local;
  if (i >= VECTORS) {
    return;
  }
#if together
  let channels = vec4u((BEGIN + i * 4u) / PLANE % CHANNELS);
#else
  let channels = (BEGIN + i * 4u + vec4u(0u, 1u, 2u, 3u)) / PLANE % CHANNELS;
#endif
  let means = vec4f(mean[channels.x], mean[channels.y], mean[channels.z], mean[channels.w]);
  let inverses = vec4f(invStd[channels.x], invStd[channels.y], invStd[channels.z], invStd[channels.w]);
  let weights = vec4f(weight[channels.x], weight[channels.y], weight[channels.z], weight[channels.w]);
  let normalised = (x[i] - means) * inverses;
#if batchNormForward
  var result = normalised * weights;
#if bias
  result += vec4f(bias[channels.x], bias[channels.y], bias[channels.z], bias[channels.w]);
#endif
  y[i] = result;
#else
  var gradient = dy[i];
#if sumDy
  gradient -= vec4f(sumDy[channels.x], sumDy[channels.y], sumDy[channels.z], sumDy[channels.w]) / COUNT;
#endif
#if sumDyNormalised
  gradient -= normalised * vec4f(sumDyNormalised[channels.x], sumDyNormalised[channels.y], sumDyNormalised[channels.z],
    sumDyNormalised[channels.w]) / COUNT;
#endif
  dx[i] = weights * inverses * gradient;
#endif
}
#endif
