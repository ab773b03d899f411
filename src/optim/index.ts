export { Adam, type AdamOptions, type AdamSettings, AdamW } from "./adam.js";
export { type AnyOptimiser, Optimiser, type ParameterGroup } from "./optimiser.js";
export {
  constant,
  cosine,
  oneCycle,
  type PlateauOptions,
  plateau,
  plateauEnded,
  type Schedule,
  type StepDecayOptions,
  stepDecay,
  warmUp,
} from "./schedule.js";
export { SGD, type SgdOptions, type SgdSettings } from "./sgd.js";
