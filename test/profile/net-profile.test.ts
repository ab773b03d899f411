/** What is counted over several runs, from made-up times; and real runs of a small net. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ProfiledCall } from "#src/core/profile.js";
import { createEngine } from "#src/engine.js";
import { vgg } from "#src/models/vgg.js";
import { kernelProfiles, median, type ProfiledRun, profileNet } from "#src/profile/net-profile.js";

const conv: ProfiledCall = {
  ...{ op: "conv2d", module: "features.0", phase: "forward", kernel: "conv2dForward", algorithm: "im2col" },
  ...{ shape: "x=[1,3,8,8] weight=[4,3,3,3] y=[1,4,8,8]", flops: 100, bytes: 10, beginMs: 0, ms: 2, launches: [] },
};
const update: ProfiledCall = {
  ...{ op: "sgd", module: "features.0", phase: "update", kernel: "sgd", algorithm: "", flops: 0, bytes: 5 },
  ...{ shape: "grad=[4,3,3,3] param=[4,3,3,3] velocity=[4,3,3,3]", beginMs: 2, ms: 1, launches: [] },
};

function run(...ms: readonly [number, number, number]): ProfiledRun {
  return {
    calls: [
      { ...conv, ms: ms[0] },
      { ...update, ms: ms[1] },
      { ...update, shape: "grad=[4] param=[4] velocity=[4]", ms: ms[2] },
    ],
    ms: 9,
  };
}

test("calls of one kernel, module and phase are one; the median over the runs of their sums", () => {
  const [first, second, ...rest] = kernelProfiles([run(5, 1, 2), run(1, 4, 4), run(2, 2, 3)]);
  assert.equal(rest, []);
  assert.equal(first, {
    ...{ phase: "forward", module: "features.0", op: "conv2d", kernel: "conv2dForward", algorithm: "im2col" },
    ...{ writes: "y", outputShape: "1x4x8x8", ms: 2, flops: 100, bytes: 10 },
  });
  assert.equal(second, {
    ...{ phase: "update", module: "features.0", op: "sgd", kernel: "sgd", algorithm: "" },
    ...{ writes: "param", outputShape: "4x3x3x3", ms: 5, flops: 0, bytes: 10 },
  });
});

test("median of an odd and of an even number", () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([4, 1, 3, 2]), 2.5);
});

for (const train of [false, true]) {
  test(`vgg A x=[2,3,32,32] width 0.05, ${train ? "training" : "forward"}: every run has the same calls`, async () => {
    const engine = await createEngine({ threads: 2 });
    const net = { width: 0.05, inputSize: 32, classes: 7, classifier: [9] };
    const done: number[] = [];
    let warm = 0;
    const runs = await profileNet(
      vgg("A", net, engine),
      {
        ...{ batch: 2, inputSize: 32, classes: 7, train, runs: 3 },
        onWarm: async () => {
          warm++;
        },
        onRun: (count) => done.push(count),
      },
      engine,
    );
    assert.equal([warm, done], [1, [1, 2, 3]]);
    const names = runs.map(({ calls }) => calls.map(({ kernel, module, shape }) => [kernel, module, shape]));
    assert.equal(names[1], names[0]);
    assert.equal(names[2], names[0]);
    const filled = names[0].filter(([kernel]) => kernel.startsWith("fill"));
    assert.equal(filled, train ? [["fill", "", "y=[]"]] : [], "nothing is initialised in a measured run");
    const phases = new Set(runs[0].calls.map(({ phase }) => phase));
    assert.equal([...phases], train ? ["forward", "backward", "update"] : ["forward"]);
    for (const { calls, ms } of runs) {
      const last = calls[calls.length - 1];
      assert.is(ms, last.beginMs + last.ms);
      assert.ok(calls.reduce((sum, call) => sum + call.ms, 0) <= ms + 0.002 * calls.length);
    }
    await engine.close();
  });
}

test.run();
