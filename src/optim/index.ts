export { constant, oneCycle, type Schedule } from "./schedule.js";
export { type ParameterGroup, SGD, type SgdOptions } from "./sgd.js";
