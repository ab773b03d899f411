/** WebGPU's poolings where its shaders part: windows of 2x2 in pairs or not, rows and places that no window holds, several workgroups. */
import { test } from "uvu";
import { adaptiveAvgPool2d, adaptiveMaxPool2d, avgPool2d, maxPool2d, type Pool2dOptions } from "#src/ops/index.js";
import { randomTensor } from "../helpers/run-op.js";
import { compareOnGpu, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

/** Few different values: ties are frequent, and some are NaN or -∞. */
function special(x: readonly number[]): Float32Array {
  const values = [Number.NaN, Number.NEGATIVE_INFINITY, 0, 1, 2, 3, 4, 5, 6, 7];
  return Float32Array.from(randomTensor(`${x}`, x, 0, values.length).data, (value) => values[Math.floor(value)]);
}

function comparePool(name: "maxPool2d" | "avgPool2d", x: readonly number[], options: Pool2dOptions): void {
  const op = { maxPool2d, avgPool2d }[name];
  const { kernelSize, stride = kernelSize, padding = 0 } = options;
  compareOnGpu(`${name} x=[${x}] kernel=${kernelSize} stride=${stride} pad=${padding}`, () => {
    const { shape } = op(oracle.tensor(new Float32Array(x.reduce((a, b) => a * b)), x), options);
    return {
      inputs: { x: { shape: x, data: name === "maxPool2d" ? special(x) : randomTensor("x", x).data } },
      forward: (t) => op(t.x, options),
      dy: randomTensor("dy", shape),
    };
  });
}

for (const [height, width] of [
  [2, 2],
  [14, 14],
  // More windows than a workgroup has threads.
  [28, 30],
  // The last row is in no window: dx there is 0.
  [7, 10],
  // Rows of an odd width are not pairs.
  [6, 11],
]) {
  comparePool("maxPool2d", [2, 3, height, width], { kernelSize: 2 });
}
comparePool("maxPool2d", [1, 2, 8, 8], { kernelSize: 2, padding: 1 });
comparePool("maxPool2d", [1, 2, 8, 8], { kernelSize: 2, stride: [2, 1] });
for (const name of ["maxPool2d", "avgPool2d"] as const) {
  // Places between windows are in none.
  comparePool(name, [2, 3, 11, 12], { kernelSize: 2, stride: 3 });
  comparePool(name, [2, 3, 13, 13], { kernelSize: 3, stride: 2 });
}
for (const outputSize of [
  [1, 1],
  [3, 5],
  [12, 9],
] as const) {
  for (const [name, op] of Object.entries({ adaptiveAvgPool2d, adaptiveMaxPool2d })) {
    const x = [2, 3, 10, 9];
    compareOnGpu(`${name} x=[${x}] out=[${outputSize}]`, () => ({
      inputs: { x: { shape: x, data: op === adaptiveMaxPool2d ? special(x) : randomTensor("x", x).data } },
      forward: (t) => op(t.x, outputSize),
      dy: randomTensor("dy", [2, 3, ...outputSize]),
    }));
  }
}

test.run();
