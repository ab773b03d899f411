// Draws the pictures of weights/pictures: one of each class of `shapes`, enlarged four times, from a seed that no training
// run has seen. Run after a build: npx tsx scripts/sample-pictures.ts
import { mkdir, writeFile } from "node:fs/promises";
import { SHAPE_NAMES, shapesPicture } from "#src/data/shapes.js";
import { encodePng, fromPlanes } from "#src/pictures/picture.js";

const SEED = 2014;
const SIDE = 32;
const ENLARGED = 4;

const folder = new URL("../weights/pictures/", import.meta.url);
await mkdir(folder, { recursive: true });
for (const [classIndex, name] of SHAPE_NAMES.entries()) {
  const { pixels } = shapesPicture(SEED, classIndex, classIndex);
  await writeFile(new URL(`${name}.png`, folder), await encodePng(enlarge(fromPlanes(pixels, SIDE, SIDE).pixels)));
}

/** Repeats every pixel of an RGB picture of 32x32. */
function enlarge(pixels: Uint8Array): { width: number; height: number; pixels: Uint8Array } {
  const side = SIDE * ENLARGED;
  const large = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = (Math.floor(y / ENLARGED) * SIDE + Math.floor(x / ENLARGED)) * 3;
      large.set(pixels.subarray(from, from + 3), (y * side + x) * 3);
    }
  }
  return { width: side, height: side, pixels: large };
}
