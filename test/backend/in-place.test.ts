/** Kernels whose output may lie in an input's memory (KERNEL_IN_PLACE): the same bits as with an output of their own, on every backend. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KERNEL_IN_PLACE } from "#src/backend/backend.js";
import type { Engine } from "#src/core/engine.js";
import type { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";
import { sameValues } from "../helpers/compare.js";
import { BACKENDS } from "../helpers/engines.js";
import { randomTensor } from "../helpers/run-op.js";

type Name = keyof typeof KERNEL_IN_PLACE;
type Roles = Readonly<Record<string, Tensor>>;

/** Several grains of every kernel, and a rest that fills no vector. */
const NORM = { batch: 3, channels: 7, plane: 1951 };
const length = NORM.batch * NORM.channels * NORM.plane;
const factor = 0.25;
const DROPOUT = { length, p: 0.25, key0: 1, key1: 2, counter: 3 };

const RECORD: { readonly [K in Name]: (engine: Engine, t: Roles) => void } = {
  reluForward: (engine, { x, y }) => engine.record("reluForward", { length }, { x, y }),
  reluBackward: (engine, { dy, y, dx }) => engine.record("reluBackward", { length }, { dy, y, dx }),
  leakyReluForward: (engine, { x, y }) => engine.record("leakyReluForward", { length, factor }, { x, y }),
  leakyReluBackward: (engine, { dy, x, dx }) => engine.record("leakyReluBackward", { length, factor }, { dy, x, dx }),
  tanhForward: (engine, { x, y }) => engine.record("tanhForward", { length }, { x, y }),
  tanhBackward: (engine, { dy, y, dx }) => engine.record("tanhBackward", { length }, { dy, y, dx }),
  sigmoidForward: (engine, { x, y }) => engine.record("sigmoidForward", { length }, { x, y }),
  sigmoidBackward: (engine, { dy, y, dx }) => engine.record("sigmoidBackward", { length }, { dy, y, dx }),
  dropout: (engine, { x, y }) => engine.record("dropout", DROPOUT, { x, y }),
  batchNormForward: (engine, { x, y }) => {
    const [mean, invStd, weight, bias] = channelTensors(engine);
    engine.record("batchNormForward", NORM, { x, mean, invStd, weight, bias, y });
  },
  batchNormBackwardInput: (engine, { dy, x, dx }) => {
    const [mean, invStd, weight, sumDy, sumDyNormalised] = channelTensors(engine);
    engine.record("batchNormBackwardInput", NORM, { dy, x, mean, invStd, weight, sumDy, sumDyNormalised, dx });
  },
  add: (engine, { a, b, y }) => engine.record("add", { length }, { a, b, y }),
  mul: (engine, { a, b, y }) => engine.record("mul", { length }, { a, b, y }),
  scale: (engine, { x, y }) => engine.record("scale", { length, factor }, { x, y }),
};

function channelTensors(engine: Engine): Tensor[] {
  return [0, 1, 2, 3, 4].map((i) => engine.tensor(randomTensor(`${i}`, [NORM.channels]).data, [NORM.channels]));
}

/** The kernel's output, in memory of its own or over the input of this role. */
async function outputOf(engine: Engine, kernel: Name, role: string | null): Promise<Float64Array> {
  const { output, over } = KERNEL_IN_PLACE[kernel];
  const y = await engine.scope(() => {
    const tensors: Record<string, Tensor> = {};
    for (const input of over) tensors[input] = engine.tensor(randomTensor(input, [length]).data, [length]);
    tensors[output] = role === null ? engine.emptyTensor([length]) : tensors[role];
    RECORD[kernel](engine, tensors);
    return tensors[output];
  });
  return y.values();
}

function isName(name: string): name is Name {
  return name in KERNEL_IN_PLACE;
}

const engines: [name: string, engine: Engine][] = [];
for (const { name, options } of BACKENDS) engines.push([name, await createEngine(options)]);

for (const kernel of Object.keys(KERNEL_IN_PLACE).filter(isName)) {
  const { output, over } = KERNEL_IN_PLACE[kernel];
  for (const role of over) {
    test(`${kernel}: ${output} over ${role}, ${length} elements`, async () => {
      for (const [name, engine] of engines) {
        const [separate, inPlace] = [await outputOf(engine, kernel, null), await outputOf(engine, kernel, role)];
        assert.ok(sameValues(inPlace, separate), name);
        assert.not(sameValues(separate, randomTensor(role, [length]).data), `${name}: nothing was computed`);
      }
    });
  }
}

test.run();
