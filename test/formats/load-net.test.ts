/** Nets that a file may claim to hold, however absurd: built and run, or refused by an error of the library. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { VerydeepError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { loadNet } from "#src/formats/load-net.js";
import { netTensorShapes, tableLayers } from "#src/models/net-config.js";
import { parseDescription } from "#src/models/net-description.js";
import { fakeFile } from "../helpers/weights-file.js";

let seed = 1;
function draw(n: number): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
}
const pick = <T>(values: readonly T[]): T => values[draw(values.length)];
const size = (): unknown => pick([1, 1, 2, 3, 4, 5, [2, 3], [1, 2], 100, 1e6]);

/** A row with options that may fit. */
const ROWS: readonly (() => object)[] = [
  () => ({
    kind: "conv",
    outputs: pick([1, 3, 4, 6]),
    kernelSize: size(),
    stride: size(),
    padding: pick([0, 1, 9]),
    groups: pick([1, 1, 2, 3]),
    dilation: pick([1, 2]),
    bias: draw(2) === 0,
  }),
  () => ({
    kind: "convTranspose",
    outputs: pick([1, 3, 4]),
    kernelSize: size(),
    stride: size(),
    padding: pick([0, 1]),
    outputPadding: pick([0, 1, 7]),
    groups: pick([1, 1, 3]),
  }),
  () => ({ kind: "pool", kernelSize: size(), stride: size(), padding: pick([0, 1, 5]), ceilMode: draw(2) === 0 }),
  () => ({
    kind: "avgPool",
    kernelSize: size(),
    stride: size(),
    padding: pick([0, 1, 5]),
    countIncludePad: draw(2) === 0,
  }),
  () => ({ kind: pick(["adaptiveMaxPool", "adaptiveAvgPool"]), outputSize: size() }),
  () => ({
    kind: "lrn",
    size: pick([1, 2, 5, 1e9]),
    alpha: pick([1, 0, -1, 1e308]),
    beta: pick([0.75, 0, -3]),
    k: pick([1, 0, -1]),
  }),
  () => ({ kind: "dropout", p: pick([0.5, 0, 1, -1, 7]) }),
  () => ({ kind: "batchNorm", eps: pick([1e-5, 0, -1, 1e308]) }),
  () => ({
    kind: "pad",
    sides: pick([
      [0, 0, 0, 0],
      [1, 0, 2, 3],
      [1e6, 1e6, 0, 0],
      [2 ** 52, 0, 0, 0],
    ]),
  }),
  () => ({ kind: "leakyRelu", slope: pick([0.01, -1, 1e308]) }),
  () => ({
    kind: "upsample",
    ...pick([{ size: size() }, { scaleFactor: pick([2, 0.5, 0.1, 1e300, [1, 3]]) }, {}]),
    alignCorners: draw(2) === 0,
  }),
  () => ({ kind: "linear", outputs: pick([1, 5, 1e6]), bias: draw(2) === 0 }),
  () => ({ kind: pick(["relu", "tanh", "sigmoid", "flatten", "flatten"]) }),
  () => ({ kind: pick(["concat", "add", "mul", "crop"]), offset: undefined }),
];

test("1,500 nets at random: built, filled and run, or refused", async () => {
  const engine = await createEngine({ threads: 1 });
  let ran = 0;
  for (let round = 0; round < 1500; round++) {
    const names = ["input"];
    const layers = Array.from({ length: 1 + draw(5) }, (_, i) => {
      const row = pick(ROWS)();
      const several = "offset" in row || draw(5) === 0;
      const name = pick(["", "__proto__.", "constructor.", "a.b."]) + i;
      const made = { ...row, name, ...(several ? { from: [pick(names), pick(names)] } : {}) };
      names.push(name);
      return made;
    });
    const text = JSON.stringify(layers);
    try {
      const net = parseDescription(JSON.parse(`{"input": [3, 8, 9], "layers": ${text}}`), "junk");
      const shapes = [...netTensorShapes(tableLayers(net.layers, net.input, { net: "junk", classes: 1 }))];
      // A file has as many bytes as it claims: no more than these.
      if (shapes.some(([, shape]) => shape.reduce((a, b) => a * b, 1) > 1e6)) continue;
      const file = fakeFile(shapes, { readFloats: async (_name, _begin, target) => void target.fill(0.5) });
      const { model, plan } = await loadNet(file, engine, { net });
      const x = engine.tensor(new Float32Array(3 * 8 * 9).fill(1), [1, 3, 8, 9]);
      const scores = await engine.noGrad(() => model.forward(x)).data();
      assert.is(scores.length, plan.outputs, text);
      ran++;
    } catch (error) {
      assert.instance(error, VerydeepError, `${text}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  await engine.close();
  assert.ok(ran > 100, `${ran} ran`);
});

test.run();
