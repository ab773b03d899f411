// One step of SGD on element i, by its gradient.
fn update(i: u32, gradient: Values) {
  var change = gradient + u.weightDecay * param[i];
#if caffe
  change *= u.lr;
#endif
#if velocity
  change += u.momentum * velocity[i];
  velocity[i] = change;
#endif
#if caffe
  param[i] -= change;
#else
  param[i] -= u.lr * change;
#endif
}
