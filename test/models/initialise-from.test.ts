import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { initialisationPlan, initialiseFrom, type VggNet } from "#src/models/initialise-from.js";
import { vgg } from "#src/models/vgg.js";

const tiny = { width: 0.05, inputSize: 32, classifier: [6, 5], classes: 4 } as const;
const net = (config: VggNet["config"], options: Partial<VggNet> = {}): VggNet => ({ ...tiny, ...options, config });

/** torchvision's places of conv1_1, conv2_1, conv3_1, conv3_2. */
const PLACES: [config: VggNet["config"], places: number[]][] = [
  ["B", [0, 5, 10, 12]],
  ["C", [0, 5, 10, 12]],
  ["D", [0, 5, 10, 12]],
  ["E", [0, 5, 10, 12]],
  ["A-LRN", [0, 4, 7, 9]],
];

for (const [config, places] of PLACES) {
  test(`${config} from A: conv1_1, conv2_1, conv3_1, conv3_2 and the three linear layers`, () => {
    const { copied, skipped } = initialisationPlan(net(config), net("A"));
    const features = places.map((place) => `features.${place}`);
    const layers = [...features, "classifier.0", "classifier.3", "classifier.6"];
    assert.equal(
      copied.map(({ name }) => name),
      layers.flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]),
    );
    const sources = ["features.0", "features.3", "features.6", "features.8", ...layers.slice(4)];
    assert.equal(
      copied.map(({ source }) => source),
      sources.flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]),
    );
    assert.equal(skipped, []);
  });
}

test("D from A at full size: 124,603,752 parameters of 138,357,544 are copied", () => {
  const { copied } = initialisationPlan({ config: "D" }, { config: "A" });
  const count = copied.reduce((sum, { shape }) => sum + shape.reduce((product, side) => product * side, 1), 0);
  // 1,792 + 73,856 + 295,168 + 590,080 of the convolutions and the linear layers' 123,642,856.
  assert.is(count, 124_603_752);
});

test("other classes: the output layer stays and is reported", () => {
  const { copied, skipped } = initialisationPlan(net("D", { classes: 9 }), net("A"));
  assert.is(copied.length, 12);
  assert.equal(skipped, [{ layer: "fc8", reason: "weight is [4,5] in the trained net, [9,5] here" }]);
  const same = initialisationPlan(net("A", { classes: 9 }), net("A"));
  assert.is(same.copied.length, 20);
  assert.equal(same.skipped, skipped);
});

test("batch normalisation: the first four go along; a net without leaves them out", () => {
  const both = initialisationPlan(net("D", { batchNorm: true }), net("A", { batchNorm: true }));
  assert.is(both.copied.filter(({ name }) => name.endsWith("running_var")).length, 4);
  assert.is(both.copied.length, 4 * 6 + 3 * 2);
  const without = initialisationPlan(net("D"), net("A", { batchNorm: true }));
  assert.is(without.copied.length, 14);
  assert.equal(
    without.skipped,
    ["bn1_1", "bn2_1", "bn3_1", "bn3_2"].map((layer) => ({ layer, reason: "the net has no such layer" })),
  );
});

test("the same net: all layers; another input size only where the shapes fit", () => {
  const { copied, skipped } = initialisationPlan(net("E"), net("E"));
  assert.equal([copied.length, skipped.length], [38, 0]);
  assert.ok(copied.every(({ name, source }) => name === source));
  throwsUsage(
    () => initialisationPlan(net("E", { inputSize: 64 }), net("E")),
    "initialiseFrom: a layer of the same net does not fit (fc6: weight is [6,26] in the trained net, [6,104] here). Use the options that the trained net has.",
  );
  // From A, whose fc6 fits 32x32 only: reported, the rest is copied.
  const { skipped: left } = initialisationPlan(net("D", { inputSize: 64 }), net("A"));
  assert.equal(
    left.map(({ layer }) => layer),
    ["fc6"],
  );
});

test("nothing fits: another width", () => {
  throwsUsage(
    () => initialisationPlan(net("D", { width: 0.5, classifier: [] }), net("A")),
    "initialiseFrom: nothing of the trained net fits (conv1_1: weight is [3,3,3,3] in the trained net, [32,3,3,3] here; ",
  );
});

test("D from A, values: copied ones are A's to the bit, the others as they were", async () => {
  const engine = await createEngine({ threads: 1 });
  const source = vgg("A", { ...tiny, seed: 1 }, engine);
  const target = vgg("D", { ...tiny, seed: 2 }, engine);
  const untouched = vgg("D", { ...tiny, seed: 2 }, engine);
  const plan = await initialiseFrom(target, net("D"), source.stateDict(), net("A"));
  const sourceOf = new Map(plan.copied.map((tensor) => [tensor.name, tensor.source]));
  for (const [name, tensor] of target.stateDict()) {
    const from = sourceOf.get(name);
    const wanted = from ? source.stateDict().get(from) : untouched.stateDict().get(name);
    assert.equal(await tensor.read(), await wanted?.read(), name);
  }
  assert.is(sourceOf.size, 14);
  await engine.close();
});

test("a state that is not what its configuration says: nothing is written", async () => {
  const engine = await createEngine({ threads: 1 });
  const target = vgg("D", { ...tiny, seed: 2 }, engine);
  const before = await target.stateDict().get("features.0.weight")?.read();
  const state = new Map(vgg("A", { ...tiny, seed: 1 }, engine).stateDict());
  state.delete("classifier.6.bias");
  let message = "";
  await initialiseFrom(target, net("D"), state, net("A")).catch((error: unknown) => {
    message = String(error);
  });
  assert.is(
    message,
    "UsageError: initialiseFrom: a net is not what its configuration says (classifier.6.bias [4], net 4 values, source none). Give each net's own configuration.",
  );
  assert.equal(await target.stateDict().get("features.0.weight")?.read(), before);
  await engine.close();
});

function throwsUsage(call: () => unknown, text: string): void {
  assert.throws(call, (error: unknown) => {
    assert.instance(error, UsageError);
    assert.ok(error instanceof Error && error.message.includes(text), String(error));
    return true;
  });
}

test.run();
