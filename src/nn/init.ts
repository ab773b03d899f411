/**
 * Initialisers: how a layer's weights start. A random number is a function of the layer's stream and the element's index
 * alone: the same whatever the number of threads and whatever else is initialised. layers.ts chooses the streams.
 */
import type { Engine } from "../core/engine.js";
import { ShapeError, UsageError } from "../core/errors.js";
import type { Random } from "../core/random.js";
import { formatShape } from "../core/shape.js";
import type { Parameter } from "../core/tensor.js";

/** Inputs and outputs of one unit: for a convolution inC·kH·kW and outC·kH·kW. */
export interface Fan {
  readonly fanIn: number;
  readonly fanOut: number;
}

/** Records the kernel that fills a new weight. */
export type Initialiser = (parameter: Parameter, fan: Fan, random: Random) => void;

/** Normal with variance 2 / fanIn (He et al. 2015): keeps the size of activations through ReLUs. The default. */
export const heNormal: Initialiser = (parameter, { fanIn }, random) => {
  fillRandom("fillNormal", parameter, Math.sqrt(2 / fanIn), random);
};

/** Uniform in ±√(6 / (fanIn + fanOut)) (Glorot and Bengio 2010): what the paper found to work without pre-training. */
export const glorotUniform: Initialiser = (parameter, { fanIn, fanOut }, random) => {
  fillRandom("fillUniform", parameter, Math.sqrt(6 / (fanIn + fanOut)), random);
};

/**
 * Normal with a fixed standard deviation. The paper's variance of 1e-2 is std 0.1, which overflows in a deep ReLU net at
 * its learning rate; Krizhevsky's is 0.01.
 * @throws UsageError for a std that is negative or not finite.
 */
export function normal(std: number): Initialiser {
  if (!(std >= 0 && Number.isFinite(std))) {
    throw new UsageError(`normal: std must be a number of at least 0 (std ${std}). Change std.`);
  }
  return (parameter, _fan, random) => fillRandom("fillNormal", parameter, std, random);
}

/** Zero everywhere: biases. */
export const zeros: Initialiser = (parameter) => {
  const { engine, size } = parameter;
  recordInit(engine, () => engine.record("fill", { length: size, factor: 0 }, { y: parameter }));
};

/**
 * Bilinear interpolation as a transposed convolution (Long et al. 2014, section 3.3): channel c of the input goes to channel c
 * of the output alone, through the filter w[h,w] = (1 − |h − center| / factor)·(1 − |w − center| / factor) with
 * factor = floor((k + 1) / 2) and center = factor − 1 for odd k, factor − 0.5 for even k, along each side (the FCN authors'
 * and Caffe's filler). With kernelSize 2·s − s % 2, stride s and padding ceil((s − 1) / 2) it enlarges s-fold.
 * For ConvTranspose2d with as many outputs as inputs; with groups each group's channels go to their own kind.
 * @throws ShapeError for a weight that is not [channels, channels / groups, height, width].
 */
export const bilinear: Initialiser = (parameter) => {
  const { engine, shape, size } = parameter;
  const [channels, perGroup, kH, kW] = shape;
  if (shape.length !== 4 || channels % perGroup !== 0) {
    throw new ShapeError(
      `bilinear: there must be as many outputs as inputs (weight ${formatShape(shape)}). Use it for a ConvTranspose2d that has.`,
    );
  }
  const values = new Float32Array(size);
  for (let c = 0; c < channels; c++) {
    const begin = (c * perGroup + (c % perGroup)) * kH * kW;
    for (let h = 0; h < kH; h++) {
      for (let w = 0; w < kW; w++) values[begin + h * kW + w] = tent(h, kH) * tent(w, kW);
    }
  }
  recordInit(engine, () => {
    const x = engine.tensor(values, shape);
    engine.record("copy", { length: size, xBegin: 0, yBegin: 0 }, { x, y: parameter });
  });
};

/** Height at place i of a tent over k places. */
function tent(i: number, k: number): number {
  const factor = Math.floor((k + 1) / 2);
  const center = k % 2 === 1 ? factor - 1 : factor - 0.5;
  return 1 - Math.abs(i - center) / factor;
}

function fillRandom(kernel: "fillNormal" | "fillUniform", y: Parameter, scale: number, random: Random): void {
  const shape = { length: y.size, ...random.key, counter: 0, scale };
  recordInit(y.engine, () => y.engine.record(kernel, shape, { y }));
}

function recordInit(engine: Engine, record: () => void): void {
  engine.withOp("init", "update", record);
}
