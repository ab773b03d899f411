// y of a few images: a workgroup computes ROWS outputs of all of them, its threads side by side along the weight's rows, which are read once.
// Then halves of the threads' sums add up.
#if wide
alias Values = vec4f;
const STEP = 4u;
#else
alias Values = f32;
const STEP = 1u;
#endif

const SUMS = ROWS * BATCH;
var<workgroup> sums: array<f32, THREADS * SUMS>;

fn image_at(e: u32) -> Values {
  return x[e / STEP];
}

fn weight_at(e: u32) -> Values {
#if wide
  return four(e);
#else
  return one(e);
#endif
}

fn product(a: Values, b: Values) -> f32 {
#if wide
  return dot(a, b);
#else
  return a * b;
#endif
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
  let column = (group.y * GRID_X + group.x) * ROWS;
  var totals: array<f32, SUMS>;
#if float16
  // In front of the products, which could be infinite without.
  var scales: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    scales[r] = scale[min(u.row + column + r, u.outputs - 1)];
  }
#endif
  for (var k = local * STEP; k < u.inputs; k += THREADS * STEP) {
    var images: array<Values, BATCH>;
    for (var b = 0u; b < BATCH; b++) {
      images[b] = image_at(b * u.inputs + k);
    }
    for (var r = 0u; r < ROWS; r++) {
#if single
      // Rows behind the last do its work again; nobody asks for it.
      var w = weight_at(min(column + r, u.outputs - 1) * u.inputs + k);
#else
      let e = (u.row + column + r) * u.inputs + k;
      if (e < u.begin || e >= u.end) {
        continue;
      }
      var w = weight_at(e - u.begin);
#endif
#if float16
      w *= scales[r];
#endif
      for (var b = 0u; b < BATCH; b++) {
        totals[r * BATCH + b] += product(w, images[b]);
      }
    }
  }
  for (var i = 0u; i < SUMS; i++) {
    sums[i * THREADS + local] = totals[i];
  }
  for (var half = THREADS / 2; half > 0; half /= 2) {
    workgroupBarrier();
    for (var i = local; i < SUMS * half; i += THREADS) {
      let at = i / half * THREADS + i % half;
      sums[at] += sums[at + half];
    }
  }
  workgroupBarrier();
  if (local < SUMS && column + local / BATCH < u.width) {
    finish(local % BATCH, column + local / BATCH, sums[local * THREADS]);
  }
}
