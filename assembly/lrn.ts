// Local response normalisation across channels (Krizhevsky et al. 2012), as PyTorch states it:
//
//   scale[c] = k + alpha / size · Σ x[j]²  over j in [c − size/2, c + (size − 1)/2], cut at the ends
//   y[c]     = x[c] · scale[c]^−beta
//   dx[c]    = dy[c] · scale[c]^−beta − 2·alpha·beta/size · x[c] · Σ dy[j]·x[j]·scale[j]^(−beta−1)  over j whose window holds c
//
// A grain is one channel of one image; neighbouring channels are read, none is written.
import { exp, log } from "./math";
import { madd } from "./simd";

/** Argument record of the LRN kernels; all tensors are [batch, channels, plane]. */
@unmanaged
export class LrnArgs {
  x: usize;
  y: usize;
  /** Written by forward, read by backward. */
  scale: usize;
  dx: usize;
  dy: usize;
  /** Backward: dy · x · scale^(−beta − 1), all channels. */
  callScratch: usize;
  batch: i32;
  channels: i32;
  plane: i32;
  size: i32;
  alpha: f32;
  beta: f32;
  k: f32;
}

export function lrnForward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LrnArgs>(args);
  const planeBytes = (<usize>s.plane) << 2;
  const factor = s.alpha / <f32>s.size;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const channel = grain % s.channels;
    const at = <usize>grain * planeBytes;
    const begin = max(0, channel - s.size / 2) - channel;
    const end = min(s.channels - 1, channel + (s.size - 1) / 2) - channel;
    let i = 0;
    for (; i + 4 <= s.plane; i += 4) {
      const here = at + ((<usize>i) << 2);
      let squares = f32x4.splat(0);
      for (let j = begin; j <= end; j++) {
        const value = v128.load(s.x + here + <usize>j * planeBytes);
        squares = madd(squares, value, value);
      }
      const scale = f32x4.add(f32x4.splat(s.k), f32x4.mul(f32x4.splat(factor), squares));
      v128.store(s.scale + here, scale);
      v128.store(s.y + here, f32x4.mul(v128.load(s.x + here), inversePower4(scale, s.beta)));
    }
    for (; i < s.plane; i++) {
      const here = at + ((<usize>i) << 2);
      let squares: f32 = 0;
      for (let j = begin; j <= end; j++) {
        const value = load<f32>(s.x + here + <usize>j * planeBytes);
        squares += value * value;
      }
      const scale = s.k + factor * squares;
      store<f32>(s.scale + here, scale);
      store<f32>(s.y + here, load<f32>(s.x + here) * inversePower(scale, s.beta));
    }
  }
}

/** callScratch = dy · x · scale^(−beta − 1). */
export function lrnBackwardRatio(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LrnArgs>(args);
  const planeBytes = (<usize>s.plane) << 2;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    for (let i = 0; i < s.plane; i++) {
      const here = <usize>grain * planeBytes + ((<usize>i) << 2);
      const scale = load<f32>(s.scale + here);
      const ratio = (load<f32>(s.dy + here) * load<f32>(s.x + here) * inversePower(scale, s.beta)) / scale;
      store<f32>(s.callScratch + here, ratio);
    }
  }
}

/** dx; overwrites. After lrnBackwardRatio. */
export function lrnBackward(args: usize, scratch: usize, grainBegin: i32, grainEnd: i32): void {
  const s = changetype<LrnArgs>(args);
  const planeBytes = (<usize>s.plane) << 2;
  const factor = (<f32>2 * s.alpha * s.beta) / <f32>s.size;
  for (let grain = grainBegin; grain < grainEnd; grain++) {
    const channel = grain % s.channels;
    const begin = max(0, channel - (s.size - 1) / 2) - channel;
    const end = min(s.channels - 1, channel + s.size / 2) - channel;
    for (let i = 0; i < s.plane; i++) {
      const here = <usize>grain * planeBytes + ((<usize>i) << 2);
      let sum: f32 = 0;
      for (let j = begin; j <= end; j++) sum += load<f32>(s.callScratch + here + <usize>j * planeBytes);
      const direct = load<f32>(s.dy + here) * inversePower(load<f32>(s.scale + here), s.beta);
      store<f32>(s.dx + here, direct - factor * load<f32>(s.x + here) * sum);
    }
  }
}

/** scale^−beta; the paper's beta = 0.75 needs two square roots and a division only. */
function inversePower(scale: f32, beta: f32): f32 {
  if (beta == 0.75) {
    const root = sqrt<f32>(scale);
    return 1 / (root * sqrt<f32>(root));
  }
  return <f32>exp(-(<f64>beta) * log(<f64>scale));
}

function inversePower4(scale: v128, beta: f32): v128 {
  if (beta == 0.75) {
    const root = f32x4.sqrt(scale);
    return f32x4.div(f32x4.splat(1), f32x4.mul(root, f32x4.sqrt(root)));
  }
  let v = f32x4.splat(inversePower(f32x4.extract_lane(scale, 0), beta));
  v = f32x4.replace_lane(v, 1, inversePower(f32x4.extract_lane(scale, 1), beta));
  v = f32x4.replace_lane(v, 2, inversePower(f32x4.extract_lane(scale, 2), beta));
  return f32x4.replace_lane(v, 3, inversePower(f32x4.extract_lane(scale, 3), beta));
}
