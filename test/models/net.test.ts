/** Nets of a user's own rows: branches, sums, crops, two outputs; what rows must not say. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { buildLayer } from "#src/models/build-layer.js";
import { auxiliaryCrossEntropy, Net } from "#src/models/net.js";
import { at, conv, flatten, INPUT, linear, type Row, relu, tableLayers } from "#src/models/net-config.js";
import { labelsTensor } from "#src/ops/index.js";

const options = { net: "mine", classes: 3 } as const;

test("x=[1,1,3,3]: a shared input goes to two branches, their sum and their concatenation", async () => {
  const engine = await createEngine({ threads: 1 });
  const rows: Row[] = [
    at(relu, { name: "a", from: [INPUT] }),
    { kind: "add", name: "sum", from: ["a", INPUT] },
    { kind: "concat", name: "both", from: ["a", "sum", INPUT] },
  ];
  const layers = tableLayers(rows, [1, 3, 3], options);
  assert.equal(
    layers.map(({ outShape }) => outShape),
    [
      [1, 3, 3],
      [1, 3, 3],
      [3, 3, 3],
    ],
  );
  const x = [-1, 2, -3, 4, -5, 6, -7, 8, -9];
  const y = await new Net(layers, {}, engine).forward(engine.tensor(x, [1, 1, 3, 3])).data();
  const positive = x.map((value) => Math.max(0, value));
  assert.equal([...y], [...positive, ...x.map((value, i) => value + positive[i]), ...x]);
  await engine.close();
});

test("x=[1,1,4,4]: a crop takes the size of its second input, at its offset", async () => {
  const engine = await createEngine({ threads: 1 });
  const rows: Row[] = [
    conv(1, 3, { name: "small" }),
    { kind: "crop", offset: 1, name: "middle", from: [INPUT, "small"] },
  ];
  const net = new Net(tableLayers(rows, [1, 4, 4], options), {}, engine);
  const x = Array.from({ length: 16 }, (_, i) => i);
  assert.equal([...(await net.forward(engine.tensor(x, [1, 1, 4, 4])).data())], [5, 6, 9, 10]);
  await engine.close();
});

test("an auxiliary classifier: the main pass leaves it without a gradient, the other pass gives it one", async () => {
  const engine = await createEngine({ threads: 1 });
  const rows: Row[] = [
    conv(2, 3, { name: "body" }),
    flatten,
    linear("classes", { name: "main" }),
    { ...at(flatten, { name: "flat", from: ["body"] }), auxiliary: true },
    { ...linear("classes", { name: "side" }), auxiliary: true },
  ];
  const net = new Net(tableLayers(rows, [1, 4, 4], options), {}, engine);
  const x = Array.from({ length: 16 }, (_, i) => i / 16);
  const withGradients = async (all: boolean): Promise<string[]> => {
    for (const parameter of net.parameters()) parameter.zeroGrad();
    await engine.scope(() => {
      const input = engine.tensor(x, [1, 1, 4, 4]);
      const outputs = all ? net.forwardAll(input) : { logits: net.forward(input), auxiliary: [] };
      auxiliaryCrossEntropy(outputs, labelsTensor(engine, [2], 3)).backward();
    });
    const found: string[] = [];
    for (const { name, grad } of net.parameters()) {
      if ((await grad?.values())?.some((value) => value !== 0)) found.push(name);
    }
    return found;
  };
  const main = ["body.weight", "body.bias", "main.weight", "main.bias"];
  assert.equal(await withGradients(false), main);
  assert.equal(await withGradients(true), [...main, "side.weight", "side.bias"]);
  await engine.close();
});

test("rows that cannot be: the main output needs an auxiliary layer; a module of several inputs", async () => {
  const engine = await createEngine({ threads: 1 });
  const rows: Row[] = [{ ...at(relu, { name: "side" }), auxiliary: true }, at(relu, { name: "main", from: ["side"] })];
  const layers = tableLayers(rows, [1, 2, 2], options);
  throwsUsage(
    () => new Net(layers, {}, engine).forward(engine.tensor([1, 2, 3, 4], [1, 1, 2, 2])),
    "main: the main output must not need an auxiliary layer (from side). Take the flag auxiliary from that row.",
  );
  const [sum] = tableLayers([{ kind: "add", name: "sum", from: [INPUT, INPUT] }], [1, 2, 2], options);
  throwsUsage(
    () => buildLayer(sum, {}, engine),
    "sum: the layer is not a module of one input (kind add). Use another kind.",
  );
  await engine.close();
});

function throwsUsage(call: () => unknown, text: string): void {
  assert.throws(call, (error: unknown) => error instanceof UsageError && error.message === text);
}

test.run();
