/** Keeps a training run on disk while it goes on: its records, its checkpoints, its best weights. */
import type { TrainRecord } from "../train/records.js";
import type { TrainingRun } from "../train/training-run.js";
import type { RunFolder } from "./run-folder.js";

/** When to write what. */
export interface KeepOptions {
  /** Writes a checkpoint after every so many steps, counted over the whole run; 0: not by steps. */
  readonly everySteps: number;
  /** Writes a checkpoint when the last is so old; 0: not by time. */
  readonly everySeconds: number;
  /** Checkpoints that stay: the newest so many. */
  readonly keep: number;
  /** Writes the weights for use, without the state of training. */
  readonly saveWeights: (file: string) => Promise<void>;
  /** Draws curves and page anew. */
  readonly report: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** The best weights so far, in the folder of the run. */
export const BEST = "best.safetensors";
/** Drawing takes some tenths of a second: not after each of many short epochs. */
const REPORT_EVERY_MS = 60_000;

/**
 * The records of a run, each kept before it is passed on. When the signal ends the run it writes a checkpoint, in the middle
 * of a step if need be, and throws the signal's reason; when the run is over it writes a last one.
 */
export async function* keepRun(
  run: TrainingRun,
  folder: RunFolder,
  options: KeepOptions,
): AsyncGenerator<TrainRecord, void, undefined> {
  const { everySteps, everySeconds, keep, saveWeights, report, signal } = options;
  let best = Math.max(-1, ...run.progress.validation);
  let saved = performance.now();
  let reported = saved;
  const save = async (): Promise<void> => {
    await folder.saveCheckpoint(run, keep);
    saved = performance.now();
  };
  try {
    for await (const record of run.records(signal)) {
      if (record.kind !== "micro") folder.append(record);
      if (record.kind === "epoch" && record.valTop1 > best) {
        best = record.valTop1;
        await saveWeights(folder.file(BEST));
      }
      const bySteps = everySteps > 0 && record.kind === "step" && record.step % everySteps === 0;
      const byTime = everySeconds > 0 && record.kind !== "event" && performance.now() - saved >= everySeconds * 1000;
      if (bySteps || byTime) await save();
      if (record.kind === "epoch" && performance.now() - reported >= REPORT_EVERY_MS) {
        await report();
        reported = performance.now();
      }
      yield record;
    }
    await save();
  } catch (error) {
    if (signal.aborted && error === signal.reason) {
      await save();
      await report();
    }
    throw error;
  }
}
