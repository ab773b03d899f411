/** WebGPU's soft-max, losses and ranks: classes around teams of threads, rows around workgroups and chunks, digits near certainty. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { crossEntropy, labelRank, logSoftmax, mseLoss } from "#src/ops/index.js";
import { type OpRun, randomTensor, runOp } from "../helpers/run-op.js";
import { compareOnGpu, engines, gpuTest, gpuTests, oracle } from "./gpu-tests.js";

gpuTests();

const labelsOf = (rows: number, classes: number) => ({
  shape: [rows],
  data: Int32Array.from({ length: rows }, (_, row) => (row * 7) % classes),
});

// Teams of 1, 4, 64 and 256 threads, these with several rounds.
for (const [rows, classes] of [
  [1, 1],
  [65, 4],
  [33, 9],
  [3, 256],
  [2, 1025],
  [4097, 3],
]) {
  const x = () => randomTensor(`x ${rows} ${classes}`, [rows, classes], -8, 8);
  compareOnGpu(`logSoftmax x=[${rows},${classes}]`, () => ({
    inputs: { x: x() },
    forward: (t) => logSoftmax(t.x),
    dy: randomTensor("dy", [rows, classes]),
  }));
  compareOnGpu(`crossEntropy x=[${rows},${classes}]`, () => ({
    inputs: { x: x(), labels: labelsOf(rows, classes) },
    forward: (t) => crossEntropy(t.x, t.labels),
    dy: null,
  }));
  gpuTest(`labelRank x=[${rows},${classes}]`, async () => {
    const { data, shape } = x();
    const ranks = await Promise.all(
      [...engines, oracle].map((engine) =>
        labelRank(
          engine.tensor(data.map(Math.round), shape),
          engine.tensor(labelsOf(rows, classes).data, [rows]),
        ).values(),
      ),
    );
    for (const values of ranks) assert.equal([...values], [...ranks[ranks.length - 1]]);
  });
}

for (const length of [4096, 4097, 70001]) {
  const pair = { x: randomTensor("x", [length]), target: randomTensor("target", [length]) };
  compareOnGpu(`mseLoss x=[${length}]`, () => ({ inputs: pair, forward: (t) => mseLoss(t.x, t.target), dy: null }));
}

/** Every value to this share of itself, however small it is: a few roundings to float32. */
const DIGITS = 1e-6;

// Further ahead the plain loops lose digits themselves: their sum is 1.
for (const margin of [0, 1e-4, 0.3, 1, 5, 10, 16]) {
  gpuTest(
    `logSoftmax, crossEntropy x=[2,3], ahead by ${margin}: all digits of log-probabilities, loss and gradient`,
    async () => {
      const inputs = {
        x: { shape: [2, 3], data: Float32Array.of(7, 7 - margin, 7 - 2 * margin, -margin, 0, -3 * margin) },
      };
      const labels = { shape: [2], data: Int32Array.of(0, 1) };
      const runs: readonly OpRun[] = [
        { inputs, forward: (t) => logSoftmax(t.x), dy: randomTensor("dy", [2, 3]) },
        { inputs: { ...inputs, labels }, forward: (t) => crossEntropy(t.x, t.labels), dy: null },
      ];
      for (const run of runs) {
        const expected = await runOp(oracle, run);
        for (const engine of engines) {
          const actual = await runOp(engine, run);
          const pairs = [[actual.y, expected.y] as const];
          // The gradient of log-softmax is a difference.
          if (run.dy === null) pairs.push([actual.gradients.x, expected.gradients.x]);
          for (const [values, truth] of pairs) {
            values.forEach((value, i) => {
              const allowed = DIGITS * Math.abs(truth[i]) + 1e-37;
              assert.ok(Math.abs(value - truth[i]) <= allowed, `${i}: ${value}, not ${truth[i]}`);
            });
          }
        }
      }
    },
  );
}

gpuTest(
  "nllForward, crossEntropyBackward, labelRank x=[2,3]: a label that is no class makes loss and gradient NaN",
  async () => {
    for (const label of [-1, 3, -2147483648, 2147483647]) {
      for (const engine of engines) {
        const results = await engine.scope(() => {
          const y = engine.tensor([-1, -3, -2, -1, -3, -2], [2, 3]);
          const labels = engine.tensor(Int32Array.of(label, 1), [2]);
          const loss = engine.emptyTensor([]);
          const dx = engine.emptyTensor([2, 3]);
          const ranks = engine.emptyTensor([2], "int32");
          const s = { rows: 2, classes: 3 };
          engine.record("nllForward", s, { y, labels, loss });
          engine.record("crossEntropyBackward", s, { dLoss: engine.tensor([1], []), y, labels, dx });
          engine.record("labelRank", s, { x: y, labels, ranks });
          return [loss, dx, ranks];
        });
        const [loss, gradient, ranks] = await Promise.all(results.map((tensor) => tensor.values()));
        assert.equal([...loss], [Number.NaN]);
        assert.equal([...gradient].map(Number.isNaN), [true, true, true, false, false, false]);
        assert.equal([...ranks], [3, 2]);
      }
    }
  },
);

test.run();
