/** A profile in the Trace Event Format. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ProfiledCall } from "#src/core/profile.js";
import { chromeTrace } from "#src/profile/trace.js";

const forward: ProfiledCall = {
  ...{ op: "conv2d", module: "features.0", phase: "forward", kernel: "conv2dForward", algorithm: "winograd" },
  ...{ shape: "x=[1,3,8,8]", flops: 3e6, bytes: 2e6, beginMs: 0, ms: 1.5 },
  launches: [
    { kernel: "winogradTransformWeight", beginMs: 0, ms: 0.5 },
    { kernel: "winogradConv2d", beginMs: 0.5, ms: 1 },
  ],
};
const update: ProfiledCall = {
  ...{ op: "sgd", module: "", phase: "update", kernel: "sgd", algorithm: "", shape: "param=[4]", flops: 0, bytes: 48 },
  ...{ beginMs: 1.75, ms: 0, launches: [{ kernel: "sgd", beginMs: 1.75, ms: 0 }] },
};

test("names of rows, then bars; times in microseconds", () => {
  const trace = chromeTrace([forward, update], { title: "a net", threads: 2 });
  assert.equal(JSON.parse(JSON.stringify(trace)), trace, "nothing that JSON cannot hold");
  assert.equal(trace.otherData, { threads: 2 });
  assert.equal(
    trace.traceEvents.filter(({ ph }) => ph === "M").map(({ name, tid, args }) => [name, tid, Object.values(args)]),
    [
      ["process_name", 0, ["a net"]],
      ["thread_name", 1, ["forward"]],
      ["thread_sort_index", 1, [1]],
      ["thread_name", 3, ["update"]],
      ["thread_sort_index", 3, [3]],
    ],
  );
  const bars = trace.traceEvents.filter(({ ph }) => ph === "X");
  assert.equal(
    bars.map(({ name, tid, ts, dur }) => [name, tid, ts, dur]),
    [
      ["features.0 conv2dForward", 1, 0, 1500],
      ["winogradTransformWeight", 1, 0, 500],
      ["winogradConv2d", 1, 500, 1000],
      ["sgd sgd", 3, 1750, 0],
      ["sgd", 3, 1750, 0],
    ],
  );
  assert.equal(bars[0].args, {
    ...{ op: "conv2d", module: "features.0", kernel: "conv2dForward", algorithm: "winograd", shape: "x=[1,3,8,8]" },
    ...{ flops: 3e6, bytes: 2e6, gflops: 2, "GB/s": 1.333 },
  });
  assert.equal(bars[3].args, { op: "sgd", module: "", kernel: "sgd", shape: "param=[4]", flops: 0, bytes: 48 });
});

test("names of one's own", () => {
  const { traceEvents } = chromeTrace([forward], { title: "t" }, () => "conv1_1");
  assert.ok(traceEvents.some(({ name }) => name === "conv1_1 conv2dForward"));
});

test.run();
