export { Adam, type AdamOptions, type AdamSettings, AdamW } from "./adam.js";
export { Optimiser, type ParameterGroup } from "./optimiser.js";
export { constant, oneCycle, type Schedule } from "./schedule.js";
export { SGD, type SgdOptions, type SgdSettings } from "./sgd.js";
