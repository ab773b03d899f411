/** The tuner: measures each new shape once, its results do not change numbers, software adapters are not remembered, notes that lie are ignored. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { recallTuning, rememberTuning } from "#src/backend/webgpu/autotune.js";
import type { GpuHost } from "#src/backend/webgpu/host.js";
import { WebGpuBackend } from "#src/backend/webgpu/webgpu-backend.js";
import { Engine } from "#src/core/engine.js";
import { NODE } from "#src/node-host.js";
import { conv2d } from "#src/ops/index.js";
import { checkOp, randomTensor } from "../helpers/run-op.js";
import { gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

const ADAPTER = {
  name: "a GPU",
  software: false,
  maxBindingBytes: 2 ** 31,
  f16: true,
  subgroups: true,
  timestamps: true,
};

/** A host with a memory of its own. */
function hostWith(notes: Map<string, string>): GpuHost {
  return {
    ...NODE,
    recall: async (name) => notes.get(name) ?? null,
    remember: async (name, text) => {
      notes.set(name, text);
    },
  };
}

gpuTest(
  "conv2d, measured on the device: the same numbers in all directions, nothing remembered of software",
  async () => {
    const notes = new Map<string, string>();
    const backend = await WebGpuBackend.create(hostWith(notes), { tune: "always" });
    const engine = new Engine(backend, async () => {}, { keepTransformedWeights: true });
    assert.is(backend.tuned.size, 0);
    const run = {
      inputs: {
        x: randomTensor("x", [2, 8, 9, 8]),
        weight: randomTensor("w", [12, 8, 3, 3]),
        bias: randomTensor("b", [12]),
      },
      forward: (t: Readonly<Record<string, Parameters<typeof conv2d>[0]>>) =>
        conv2d(t.x, t.weight, t.bias, { padding: 1 }),
      dy: randomTensor("dy", [2, 12, 9, 8]),
    };
    await checkOp([[engine]], oracle, run, 2e-5);
    const winners = new Map(backend.tuned);
    // One for each direction.
    assert.is(winners.size, 3);
    for (const [key, name] of winners) {
      assert.match(key, /^conv2d (forward|backwardInput|backwardWeight) 2 8 9 8 12 9 8 3 3 /);
      assert.match(name, /^(gemm \d+x\d+|winograd[24])$/);
    }
    // Once more: nothing is new.
    await checkOp([[engine]], oracle, run, 2e-5);
    assert.equal(backend.tuned, winners);
    if (backend.adapter.software) assert.is(notes.size, 0);
    await engine.close();
  },
);

gpuTest("by default a software adapter measures nothing", async () => {
  const backend = await WebGpuBackend.create(hostWith(new Map()), {});
  const engine = new Engine(backend, async () => {}, { keepTransformedWeights: true });
  const [x, weight] = [
    engine.tensor(new Float32Array(64), [1, 4, 4, 4]),
    engine.tensor(new Float32Array(144), [4, 4, 3, 3]),
  ];
  await conv2d(x, weight, null, { padding: 1 }).data();
  if (backend.adapter.software) assert.is(backend.tuned.size, 0);
  await engine.close();
});

test("what was measured of one adapter comes back for it, and for no other", async () => {
  const notes = new Map<string, string>();
  const host = hostWith(notes);
  await rememberTuning(host, ADAPTER, new Map([["a", "gemm 64x64"]]));
  assert.equal([...(await recallTuning(host, ADAPTER))], [["a", "gemm 64x64"]]);
  assert.is((await recallTuning(host, { ...ADAPTER, name: "another" })).size, 0);
});

for (const note of [
  "",
  "{",
  "null",
  "[]",
  '{"version":1}',
  '{"version":0,"winners":{"a":"b"}}',
  '{"version":1,"winners":3}',
]) {
  test(`a note that is none is as if there were none: ${note}`, async () => {
    const host: GpuHost = { ...NODE, recall: async () => note };
    assert.is((await recallTuning(host, ADAPTER)).size, 0);
  });
}

test.run();
