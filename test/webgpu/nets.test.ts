/**
 * Whole nets on WebGPU against wasm: one pass, trainings step by step, trainings that change the backend half-way, and one whose device is
 * lost. SwiftShader takes seconds for a shader and for a step, and gets smaller nets. VGG-11 at its full size is
 * scripts/long/webgpu-vgg11.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Engine } from "#src/core/engine.js";
import { BackendError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import { pixelStatistics } from "#src/data/dataset.js";
import { shapes } from "#src/data/shapes.js";
import { createEngine } from "#src/engine.js";
import { type VggModelOptions, vgg } from "#src/models/vgg.js";
import type { VggConfigName } from "#src/models/vgg-config.js";
import type { Module } from "#src/nn/index.js";
import { loadCheckpoint, saveCheckpoint } from "#src/runs/checkpoint.js";
import type { TrainOptions } from "#src/train/train-options.js";
import { TrainingRun } from "#src/train/training-run.js";
import { rejects } from "../engine/nets.js";
import { maxRelativeError } from "../helpers/compare.js";
import { gpuEngine } from "../helpers/webgpu.js";
import { tappedEngine } from "./tapped-device.js";

/** Of the largest logit: sums in other orders through eleven layers, and Winograd's tiles. */
const LOGITS = 1e-4;
/** Of losses and of weights after some steps: rounding errors grow from step to step. */
const TRAINING = 1e-3;

const data = shapes({ count: 400 });
const normalise = pixelStatistics(data.train);
const folder = mkdtempSync(path.join(tmpdir(), "verydeep-webgpu-nets-"));

/** A value that only rounding errors move. */
const NOTHING = 1e-5;

const wasm = await createEngine({ backend: "wasm", threads: 2 });
/** One device for all tests, so that shaders are compiled once; the last test loses it. */
const tapped = await tappedEngine();
const gpu = tapped?.engine ?? wasm;
const slow = /swiftshader/i.test(tapped?.adapterName ?? "");
if (tapped === null) {
  const found = await gpuEngine();
  console.log(`SKIPPED nets on WebGPU: ${"reason" in found ? found.reason : "no adapter"}`);
}

test.after(async () => {
  await wasm.close();
  await gpu.close();
  rmSync(folder, { recursive: true, force: true });
});

function netTest(name: string, run: () => Promise<void>): void {
  if (tapped !== null) test(name, run);
  else test.skip(name, run);
}

/** All that a net keeps, from one engine to another. */
async function copyState(from: Module, to: Module): Promise<void> {
  const values = new Map<string, Float32Array>();
  for (const [name, tensor] of from.stateDict()) values.set(name, await tensor.read());
  for (const [name, tensor] of to.stateDict()) await tensor.write(values.get(name) ?? new Float32Array());
}

netTest("A width=1/8 x=[1,3,224,224]: the logits of wasm, also at WebGPU's default limits", async () => {
  const options: VggModelOptions = { classes: 10, width: 1 / 8, classifier: [64], seed: 5 };
  const random = new Random(1, "picture");
  const x = Float32Array.from({ length: 3 * 224 * 224 }, () => 4 * random.uniform() - 2);
  const net = vgg("A", options, wasm).eval();
  const logits = await net.forward(wasm.tensor(x, [1, 3, 224, 224])).values();
  const limited = await createEngine({ backend: "webgpu", gpuLimits: "default" });
  for (const engine of [gpu, limited]) {
    const copy = vgg("A", options, engine).eval();
    await copyState(net, copy);
    const error = maxRelativeError(await copy.forward(engine.tensor(x, [1, 3, 224, 224])).values(), logits);
    assert.ok(error <= LOGITS, `relative error ${error.toExponential(2)}`);
  }
  await limited.close();
});

const WIDTH = slow ? 16 : 4;
const STEPS = slow ? 6 : 20;
/** Where a training changes the backend. */
const HALF = slow ? 3 : 8;

const SMALL: VggModelOptions = {
  classes: 10,
  inputSize: 32,
  width: 1 / WIDTH,
  classifier: [64],
  dropout: 0.5,
  seed: 3,
};
const RECIPE: TrainOptions = { epochs: 2, batch: 8, lr: 0.003, momentum: 0.9, weightDecay: 5e-4 };

function runOn(engine: Engine, options = SMALL, config: VggConfigName = "A"): TrainingRun {
  return new TrainingRun(vgg(config, options, engine), data, { ...RECIPE, normalise });
}

/** Trains until so many steps are done in all, and returns the losses of those done now. */
async function train(run: TrainingRun, until: number): Promise<number[]> {
  const losses: number[] = [];
  for await (const record of run.records()) {
    if (record.kind === "step") losses.push(record.loss);
    if (run.progress.step >= until) break;
  }
  return losses;
}

function agree(actual: readonly number[], expected: readonly number[]): void {
  const error = maxRelativeError(actual, expected);
  assert.ok(error <= TRAINING, `relative error ${error.toExponential(2)}: ${actual} instead of ${expected}`);
}

let losses: readonly number[] = [];

netTest(`A width=1/${WIDTH} x=[8,3,32,32]: the losses of ${STEPS} steps, with momentum and dropout`, async () => {
  losses = await train(runOn(wasm), STEPS);
  assert.is(new Set(losses).size, STEPS);
  agree(await train(runOn(gpu), STEPS), losses);
});

for (const [from, to] of [
  ["wasm", "webgpu"],
  ["webgpu", "wasm"],
] as const) {
  netTest(`a training that began on ${from} goes on on ${to} from its checkpoint`, async () => {
    const engines = { wasm, webgpu: gpu };
    const file = path.join(folder, `${from}.safetensors`);
    const begun = runOn(engines[from]);
    const early = await train(begun, HALF);
    await saveCheckpoint(file, begun);
    const next = runOn(engines[to]);
    await loadCheckpoint(file, next);
    agree([...early, ...(await train(next, STEPS))], losses);
  });
}

for (const config of slow ? (["B"] as const) : (["B", "D"] as const)) {
  netTest(`${config} with batch normalisation, width=1/16: weights and statistics after 2 steps`, async () => {
    const options: VggModelOptions = { ...SMALL, width: 1 / 16, classifier: [16], batchNorm: true };
    const expected = runOn(wasm, options, config);
    const truth = await train(expected, 2);
    const run = runOn(gpu, options, config);
    agree(await train(run, 2), truth);
    const tensors = run.tensors();
    for (const [name, tensor] of expected.tensors()) {
      const values = await tensor.read();
      const actual = await tensors.get(name)?.read();
      assert.ok(actual);
      // The bias of a convolution that is normalised has gradient 0: both are noise.
      if ([values, actual].every((all) => all.every((value) => Math.abs(value) < NOTHING))) continue;
      const error = maxRelativeError(actual, values);
      assert.ok(error <= TRAINING, `${name}: relative error ${error.toExponential(2)}`);
    }
  });
}

netTest("the device is lost in the middle of a training: an error; wasm goes on from the last checkpoint", async () => {
  const file = path.join(folder, "lost.safetensors");
  const run = runOn(gpu);
  const early = await train(run, HALF);
  await saveCheckpoint(file, run);
  const fails = async (): Promise<void> => {
    const later = train(run, STEPS);
    setTimeout(() => tapped?.device.destroy(), 20);
    await later;
  };
  await rejects(
    fails,
    BackendError,
    /^webgpu: the GPU was lost \(.+; destroyed: .+\)\. Its tensors are lost with it: create a new engine and go on from the last checkpoint, on this backend or on wasm\.$/,
  );
  const next = runOn(wasm);
  await loadCheckpoint(file, next);
  agree([...early, ...(await train(next, STEPS))], losses);
});

test.run();
