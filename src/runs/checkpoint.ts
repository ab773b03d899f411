/**
 * Checkpoints: everything that the future of a training run depends on, in one safetensors file, written all or nothing.
 * A run that is taken up from one ends with the same bits as one that was never stopped.
 *
 *   model.features.0.weight …              parameters and buffers
 *   optimiser.features.0.weight.velocity … the optimiser's state
 *   grad.features.0.weight …               in the middle of a step of several parts: the gradients so far
 *   metadata: format, version, progress (train/train-options.ts) and counters as JSON; the tier that computed it
 */
import { WeightsError } from "../core/errors.js";
import { loadState, tensorsOf } from "../io/model-format.js";
import { openSafetensors, type SafetensorsSource, writeSafetensors } from "../io/safetensors.js";
import type { TrainingProgress } from "../train/train-options.js";
import type { TrainingRun } from "../train/training-run.js";
import type { RunTier } from "./request.js";

const FORMAT = "verydeep-checkpoint";
const VERSION = "1";
const REMEDY = "Use an older checkpoint of the run, or begin anew.";

/**
 * Writes where a run stands; call it between two records of the run.
 * @throws UsageError where the path cannot be written; WeightsError for a full disk.
 */
export async function saveCheckpoint(file: string, run: TrainingRun): Promise<void> {
  const counters = Object.fromEntries([...run.counters()].map(([name, { value }]) => [name, value]));
  await writeSafetensors(file, tensorsOf({ stateDict: () => run.tensors() }), {
    format: FORMAT,
    version: VERSION,
    progress: JSON.stringify(run.progress),
    counters: JSON.stringify(counters),
    ...(run.tier === null ? {} : { tier: run.tier }),
  });
}

/** The tier that computed a checkpoint; null where it says nothing of one, or cannot be read. */
export async function checkpointTier(file: string): Promise<RunTier | null> {
  const source = await openSafetensors(file).catch(() => null);
  await source?.close();
  const tier = source?.metadata.tier;
  return isTier(tier) ? tier : null;
}

export function isTier(value: unknown): value is RunTier {
  return value === "plain" || value === "relaxed" || value === "turbo";
}

/**
 * Takes a run to where the checkpoint was written. The run must have the same model, data and options as that one.
 * @throws WeightsError for a file that is missing, damaged, no checkpoint, or of another run.
 */
export async function loadCheckpoint(file: string, run: TrainingRun): Promise<void> {
  const source = await openSafetensors(file);
  try {
    const { progress, counters } = readNumbers(source, file);
    const known = run.counters();
    const strange =
      [...known.keys()].find((name) => !counters.has(name)) ?? [...counters.keys()].find((name) => !known.has(name));
    if (strange !== undefined) {
      throw new WeightsError(`loadCheckpoint: ${file} is of another net (counter ${strange}). ${REMEDY}`);
    }
    run.restore(progress, source.tensors.keys());
    await loadState(source, { stateDict: () => run.tensors() }, file);
    for (const [name, counter] of known) counter.value = counters.get(name) ?? 0;
  } finally {
    await source.close();
  }
}

function readNumbers(
  { metadata }: SafetensorsSource,
  file: string,
): { progress: TrainingProgress; counters: ReadonlyMap<string, number> } {
  if (metadata.format !== FORMAT || metadata.version !== VERSION) {
    throw new WeightsError(
      `loadCheckpoint: ${file} is no checkpoint of this version (format ${metadata.format}, version ${metadata.version}). ${REMEDY}`,
    );
  }
  const progress = parseObject(metadata.progress);
  const counters = parseObject(metadata.counters);
  const numbers = (from: Readonly<Record<string, unknown>> | null, name: string): number => {
    const value = from?.[name];
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
    throw new WeightsError(`loadCheckpoint: a number in ${file} is wrong (${name} ${String(value)}). ${REMEDY}`);
  };
  const validation = progress?.validation;
  if (!Array.isArray(validation) || !validation.every((value) => typeof value === "number")) {
    throw new WeightsError(
      `loadCheckpoint: a number in ${file} is wrong (validation ${String(validation)}). ${REMEDY}`,
    );
  }
  return {
    progress: {
      epoch: numbers(progress, "epoch"),
      stepInEpoch: numbers(progress, "stepInEpoch"),
      step: numbers(progress, "step"),
      pictures: numbers(progress, "pictures"),
      microBatch: numbers(progress, "microBatch"),
      validation,
      epochLoss: numbers(progress, "epochLoss"),
      stepLoss: numbers(progress, "stepLoss"),
      stepCorrect: numbers(progress, "stepCorrect"),
      seconds: numbers(progress, "seconds"),
    },
    counters: new Map(Object.keys(counters ?? {}).map((name) => [name, numbers(counters, name)])),
  };
}

function parseObject(text: string | undefined): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}
