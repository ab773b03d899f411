/** What createEngine refuses, ranges of reads and writes, labels that are no class, reading inside a step-through. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { createEngine, type EngineOptions } from "#src/engine.js";
import { crossEntropy, labelRank, relu, sum } from "#src/ops/index.js";
import { rejects, throws } from "./nets.js";

const REFUSED: readonly [options: EngineOptions, text: string][] = [
  [
    { memoryMaxBytes: Number.NaN },
    "createEngine: memoryMaxBytes must be an integer from 131072 to 4294967296 (memoryMaxBytes NaN). Leave it out for all there is.",
  ],
  [
    { memoryMaxBytes: 2 ** 34 },
    "createEngine: memoryMaxBytes must be an integer from 131072 to 4294967296 (memoryMaxBytes 17179869184). Leave it out for all there is.",
  ],
  [
    { arenaBaseBytes: -1 },
    "createEngine: arenaBaseBytes must be an integer from 0 to 4294967296 (arenaBaseBytes -1). Leave it out.",
  ],
  [
    { deterministic: true, tier: "turbo" },
    "createEngine: deterministic engines run in the plain tier (tier turbo). Leave one of the two out.",
  ],
  [
    { deterministic: true, backend: "reference" },
    "createEngine: deterministic engines run on the wasm backend (backend reference). Leave one of the two out.",
  ],
  [
    { backend: "reference", tier: "relaxed" },
    "createEngine: the reference backend has no tiers (tier relaxed). Leave tier out.",
  ],
  [
    { backend: "reference", threads: 0 },
    "createEngine: threads must be an integer from 1 to 256 (threads 0). Leave it out to use all cores.",
  ],
];

for (const [options, text] of REFUSED) {
  test(`createEngine(${JSON.stringify(options)})`, async () => {
    await rejects(() => createEngine(options), UsageError, text);
  });
}

test("choices that come from a command line or JSON are checked too", async () => {
  for (const [json, text] of [
    [
      '{"convAlgorithm":"fast"}',
      "createEngine: there is no such convAlgorithm (convAlgorithm fast). Use auto, exact, im2col, winograd2, winograd4 or winograd6.",
    ],
    ['{"precision":"half"}', "createEngine: there is no such precision (precision half). Use float32, float64 or f16."],
    ['{"tier":"nope"}', "createEngine: there is no such tier (tier nope). Use auto, plain, relaxed or turbo."],
    [
      '{"deterministic":"yes"}',
      "createEngine: deterministic is true or false (deterministic yes). Leave it out for false.",
    ],
    ['{"backend":"gpu"}', "createEngine: there is no such backend (backend gpu). Use auto, wasm, webgpu or reference."],
  ]) {
    await rejects(() => createEngine(JSON.parse(json)), UsageError, text);
  }
});

test("arenaBaseBytes 100001: any place will do", async () => {
  const engine = await createEngine({ threads: 1, arenaBaseBytes: 100_001 });
  assert.equal([...(await relu(engine.tensor([1, -2], [2])).data())], [1, 0]);
});

for (const backend of ["wasm", "reference"] as const) {
  test(`${backend}: given labels that are no class are refused`, async () => {
    const engine = await createEngine({ backend, threads: 1 });
    const logits = engine.tensor([1, 2, 3, 4], [2, 2]);
    for (const label of [-3, 2, 1e8]) {
      const labels = engine.tensor(Int32Array.of(label, 1), [2]);
      throws(
        () => crossEntropy(logits, labels),
        UsageError,
        `crossEntropy: label ${label} at place 0 is not a class (classes 2). Use integers from 0 to 1.`,
      );
      throws(
        () => labelRank(logits, labels),
        UsageError,
        `labelRank: label ${label} at place 0 is not a class (classes 2). Use integers from 0 to 1.`,
      );
    }
  });

  test(`${backend}: computed labels that are no class make loss and gradient NaN`, async () => {
    const engine = await createEngine({ backend, threads: 1 });
    const logits = engine.parameter([1, 2], "logits");
    await logits.write(Float32Array.of(1, 2));
    const given = engine.tensor(Int32Array.of(7), [1]);
    const copied = engine.emptyTensor([1], "int32");
    engine.record("copy", { length: 1, xBegin: 0, yBegin: 0 }, { x: given, y: copied });
    const loss = crossEntropy(logits, copied);
    const ranks = labelRank(logits, copied);
    loss.backward();
    const [value, rank, gradient] = await Promise.all([loss.item(), ranks.data(), logits.grad?.data()]);
    assert.ok(Number.isNaN(value));
    assert.equal([...rank], [2]);
    assert.ok(gradient?.every(Number.isNaN));
  });
}

test("read(begin, end) refuses what is not a part of the tensor", async () => {
  const engine = await createEngine({ threads: 1 });
  const w = engine.parameter([2, 3], "w");
  await w.write(Float32Array.of(1, 2, 3, 4, 5, 6));
  for (const [begin, end] of [
    [-5, 2],
    [5, 2],
    [0, 7],
    [0.5, 2],
    [Number.NaN, 2],
  ]) {
    await rejects(
      () => w.read(begin, end),
      UsageError,
      `read: elements ${begin} to ${end} are not a part of the tensor (w [2,3]). Stay within 0 to 6.`,
    );
  }
  assert.equal([...(await w.read(2, 4))], [3, 4]);
});

test("a parameter can be read inside a step-through", async () => {
  const engine = await createEngine({ threads: 1 });
  const w = engine.parameter([2], "w");
  await w.write(Float32Array.of(1, -2));
  const seen: number[][] = [];
  for await (const _ of engine.steps(() => sum(relu(w)))) seen.push([...(await w.data())]);
  assert.ok(seen.length >= 2);
  for (const values of seen) assert.equal(values, [1, -2]);
});

test.run();
