/**
 * How much tensor memory a training step needs, and the largest batch that fits: from plans, without running anything. The engine
 * that plans is made by createPlanningEngine.
 */
import type { Engine } from "../core/engine.js";
import { MemoryFullError } from "../core/errors.js";
import type { Module } from "../nn/module.js";
import { type RunOptions, recorder } from "./net-profile.js";

/** A net and the memory that it is to be trained in. */
export interface StepMemoryOptions extends Pick<RunOptions, "inputSize" | "classes"> {
  /** Makes the engine that plans: a new one for each batch. */
  readonly createEngine: () => Promise<Engine>;
  /** Makes the net in it. */
  readonly build: (engine: Engine) => Module;
}

/** A batch, and what a training step of it needs. */
export interface BatchMemory {
  readonly batch: number;
  readonly peakBytes: number;
}

/** No search goes beyond. */
const MOST_PICTURES = 65536;

/**
 * Bytes of tensor memory of a training step: weights, gradients and momentum, activations, scratch memory. Null where they do not fit.
 * As `train` does it: cross-entropy of the main output, SGD with momentum, all in one program.
 */
export async function stepBytes(batch: number, options: StepMemoryOptions): Promise<number | null> {
  const engine = await options.createEngine();
  try {
    const { inputSize, classes, build } = options;
    await engine.scope(await recorder(build(engine), { batch, inputSize, classes, train: true }, engine));
    return engine.memory().peakBytes;
  } catch (error) {
    if (error instanceof MemoryFullError) return null;
    throw error;
  } finally {
    await engine.close();
  }
}

/** The largest batch whose training step fits; null where that of one picture does not. */
export function largestTrainingBatch(options: StepMemoryOptions): Promise<BatchMemory | null> {
  return largestFitting((batch) => stepBytes(batch, options));
}

/**
 * The largest whole number up to 65536 that `bytesOf` gives bytes for, if all smaller ones have some too: doubles, then halves the gap.
 */
export async function largestFitting(bytesOf: (batch: number) => Promise<number | null>): Promise<BatchMemory | null> {
  let fitting: BatchMemory | null = null;
  let tooLarge = MOST_PICTURES + 1;
  for (;;) {
    const least: number = fitting?.batch ?? 0;
    if (tooLarge - least <= 1) return fitting;
    const doubled = Math.max(1, 2 * least);
    const batch: number = doubled < tooLarge ? doubled : Math.floor((least + tooLarge) / 2);
    const peakBytes = await bytesOf(batch);
    if (peakBytes === null) tooLarge = batch;
    else fitting = { batch, peakBytes };
  }
}
