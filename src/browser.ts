/** The library in browsers: what needs no files, and an engine of one thread. index.ts is Node's. */
export { createEngine } from "./engine-browser.js";
export { type LoadedNet, type LoadOptions, load, type PictureInput, type WeightsInput } from "./load-browser.js";
export { decodePicture } from "./pictures/decode-browser.js";
export * from "./portable.js";
