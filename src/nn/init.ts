/**
 * Initialisers: how a layer's weights start. A random number is a function of the layer's stream and the element's index
 * alone: the same whatever the number of threads and whatever else is initialised. layers.ts chooses the streams.
 */
import type { Engine } from "../core/engine.js";
import { UsageError } from "../core/errors.js";
import type { Random } from "../core/random.js";
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

function fillRandom(kernel: "fillNormal" | "fillUniform", y: Parameter, scale: number, random: Random): void {
  const shape = { length: y.size, ...random.key, counter: 0, scale };
  recordInit(y.engine, () => y.engine.record(kernel, shape, { y }));
}

function recordInit(engine: Engine, record: () => void): void {
  engine.withOp("init", "update", record);
}
