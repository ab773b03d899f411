/**
 * Runs a net several times and tells what each kernel took. The running (profileNet) is apart from the counting (kernelProfiles,
 * a pure function), which the tests feed with made-up times.
 */
import type { KernelName } from "../backend/backend.js";
import { KERNEL_WRITES } from "../backend/backend.js";
import type { Engine } from "../core/engine.js";
import type { ProfiledCall } from "../core/profile.js";
import type { Phase } from "../core/program.js";
import { Random } from "../core/random.js";
import type { Tensor } from "../core/tensor.js";
import { inMode, type Module } from "../nn/module.js";
import { channelsLast } from "../ops/channels-last.js";
import { crossEntropy, labelsTensor } from "../ops/loss.js";
import { SGD } from "../optim/sgd.js";

/** What a run is. */
export interface RunOptions {
  readonly batch: number;
  /** Height and width of the pictures, which have three channels. */
  readonly inputSize: number;
  readonly classes: number;
  /** Whole training steps (forward, loss, backward, SGD with momentum) instead of forward passes. */
  readonly train: boolean;
}

/** What to run, and how often. */
export interface NetProfileOptions extends RunOptions {
  /** Measured runs; others go before them. */
  readonly runs: number;
  /** Called once the kernels are warm, before the first measured run. */
  readonly onWarm?: () => Promise<void>;
  /** Called after each measured run with how many are done. */
  readonly onRun?: (done: number) => void;
}

/** The calls of one run, and how long it took from the first one's begin to the last one's end. */
export interface ProfiledRun {
  readonly calls: readonly ProfiledCall[];
  readonly ms: number;
}

/** One kernel of one module in one phase: all its calls of a run together, the median over the runs. */
export interface KernelProfile {
  readonly phase: Phase;
  /** Path of the module; empty outside of modules. */
  readonly module: string;
  readonly op: string;
  readonly kernel: KernelName;
  readonly algorithm: string;
  /** The first tensor that it writes, by role: `y`, `dWeight`. */
  readonly writes: string;
  /** Shape of that tensor: `1x64x224x224`. */
  readonly outputShape: string;
  readonly ms: number;
  readonly flops: number;
  readonly bytes: number;
}

/** Runs before the measured ones: memory is there then, parameters and momentum are filled, and V8 has optimised the kernels. */
const WARM_RUNS = 2;
const WARM_MS = 500;
/** Too small to move the weights anywhere: speed does not depend on them while they are finite. */
const LEARNING_RATE = 1e-6;

/** Runs a net on random pictures. The model's parameters change if it is trained. */
export async function profileNet(model: Module, options: NetProfileOptions, engine: Engine): Promise<ProfiledRun[]> {
  const { runs, onWarm, onRun } = options;
  const record = await recorder(model, options, engine);
  const run = async (): Promise<ProfiledRun> => {
    const { calls } = await engine.profile(record);
    return { calls, ms: calls.reduce((end, { beginMs, ms }) => Math.max(end, beginMs + ms), 0) };
  };
  const start = performance.now();
  for (let i = 0; i < WARM_RUNS || performance.now() - start < WARM_MS; i++) await run();
  await onWarm?.();
  const measured: ProfiledRun[] = [];
  while (measured.length < runs) {
    measured.push(await run());
    onRun?.(measured.length);
  }
  return measured;
}

/** What one run records, on random pictures. */
export async function recorder(model: Module, options: RunOptions, engine: Engine): Promise<() => void> {
  const { batch, inputSize, train } = options;
  const shape = [batch, 3, inputSize, inputSize];
  // Made in tensor memory: there it counts, and is an error of its own if it does not fit.
  const x = await engine.scope(() => {
    const pictures = engine.withOp("input", "update", () => engine.emptyTensor(shape));
    const stream = { ...new Random(0, "profile").key, counter: 0, scale: 1 };
    engine.withOp("input", "update", () =>
      engine.record("fillUniform", { length: pictures.size, ...stream }, { y: pictures }),
    );
    return pictures;
  });
  if (!train) {
    return () => {
      inMode(model, false, () => engine.noGrad(() => model.forward(x)));
    };
  }
  const optimiser = new SGD(model.parameters(), { lr: LEARNING_RATE, momentum: 0.9, weightDecay: 5e-4 });
  return () => {
    inMode(model, true, () => lossOf(model.forward(x), options.classes)).backward();
    optimiser.step();
    optimiser.zeroGrad();
  };
}

/** Cross-entropy of made-up labels; of each pixel where the net gives a map of scores. */
function lossOf(scores: Tensor, classes: number): Tensor {
  const logits = scores.shape.length === 4 ? channelsLast(scores) : scores;
  const labels = Int32Array.from({ length: logits.shape[0] }, (_, i) => i % classes);
  return crossEntropy(logits, labelsTensor(scores.engine, labels, classes));
}

/** The kernels of several runs of the same program, in the order in which they first ran. */
export function kernelProfiles(runs: readonly ProfiledRun[]): KernelProfile[] {
  const groups = new Map<string, number[]>();
  const [{ calls }] = runs;
  calls.forEach(({ phase, module, op, kernel }, i) => {
    const key = [phase, module || op, kernel].join(" ");
    groups.set(key, [...(groups.get(key) ?? []), i]);
  });
  return [...groups.values()].map((group) => {
    const { phase, module, op, kernel, algorithm, shape } = calls[group[0]];
    const total = (of: (call: ProfiledCall) => number, run = calls): number =>
      group.reduce((sum, i) => sum + of(run[i]), 0);
    const [writes, outputShape] = firstOutput(kernel, shape);
    return {
      phase,
      module,
      op,
      kernel,
      algorithm,
      writes,
      outputShape,
      ms: median(runs.map((run) => total(({ ms }) => ms, run.calls))),
      flops: total(({ flops }) => flops),
      bytes: total(({ bytes }) => bytes),
    };
  });
}

/** Role and shape of the first tensor that a call writes, from the text of its tensors. */
function firstOutput(kernel: KernelName, shape: string): [role: string, shape: string] {
  const [role] = KERNEL_WRITES[kernel];
  const sizes = new RegExp(`(?:^| )${role}=\\[([^\\]]*)\\]`).exec(shape)?.[1] ?? "";
  return [role, sizes.replaceAll(",", "x")];
}

/** The middle one, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
