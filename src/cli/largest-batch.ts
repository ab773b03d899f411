/** How many pictures `summary` says that training has memory for, with this machine's threads and memory. */
import { createPlanningEngine, describeHost } from "../engine.js";
import { Net } from "../models/net.js";
import { largestTrainingBatch } from "../profile/step-memory.js";
import type { Shown } from "./summary.js";

/** As `summary --json` has it. */
export interface TrainingMemory {
  /** Pictures of the largest training step that fits; 0 where none does. */
  readonly largestBatch: number;
  /** What that step needs. */
  readonly bytes: number;
  readonly memoryMaxBytes: number;
  readonly threads: number;
}

/** The largest batch of a net at its input size: planned, not run. */
export async function trainingMemory({ layers, inputSize, classes }: Shown): Promise<TrainingMemory> {
  const { threads, memoryMaxBytes } = await describeHost();
  const largest = await largestTrainingBatch({
    inputSize,
    classes,
    createEngine: () => createPlanningEngine({ threads, memoryMaxBytes }),
    build: (engine) => new Net(layers, {}, engine),
  });
  return { largestBatch: largest?.batch ?? 0, bytes: largest?.peakBytes ?? 0, memoryMaxBytes, threads };
}
