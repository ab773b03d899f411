/**
 * A of VGG on CIFAR-10, as `verydeep train --data cifar10:DIR` trains it: batch 64, one cycle to lr 0.03, pictures moved and mirrored. What
 * the scripts that compare accuracies share.
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  cifar10,
  type DataSplits,
  type Dataset,
  type Engine,
  evaluate,
  loadCheckpoint,
  oneCycle,
  pixelStatistics,
  type Sequential,
  saveCheckpoint,
  TrainingRun,
  type TrainOptions,
  vgg,
} from "#src/index.js";

const DIRECTORY = fileURLToPath(new URL("../../../shared/data/cifar-10-batches-bin", import.meta.url));

export const LR = 0.03;
export const MOMENTUM = 0.9;
export const WEIGHT_DECAY = 5e-4;

export type CifarSplits = DataSplits<Dataset>;

/** What a run depends on, beside how its engine computes. */
export interface CifarRecipe {
  readonly width: number;
  readonly epochs: number;
  readonly batch: number;
  readonly seed: number;
}

/** CIFAR-10 from this directory; null, and a line that says so, where it is missing. */
export async function openCifar(directory = DIRECTORY, seed = 1): Promise<CifarSplits | null> {
  if (!existsSync(path.join(directory, "test_batch.bin"))) {
    console.log(`SKIPPED: CIFAR-10's binary files are missing (${directory}); name their directory with --data`);
    return null;
  }
  return cifar10(directory, { seed });
}

/** Order, augmentation, rate and statistics of a run. */
export function cifarOptions(
  { train }: CifarSplits,
  { epochs, batch, seed }: CifarRecipe,
): TrainOptions & { readonly normalise: ReturnType<typeof pixelStatistics> } {
  return {
    epochs,
    batch,
    seed,
    lr: LR,
    momentum: MOMENTUM,
    weightDecay: WEIGHT_DECAY,
    schedule: oneCycle(),
    augment: { cropPadding: 4, flip: true },
    normalise: pixelStatistics(train),
  };
}

/** A new net and its run. */
export function cifarRun(
  engine: Engine,
  data: CifarSplits,
  recipe: CifarRecipe,
): { readonly model: Sequential; readonly run: TrainingRun } {
  const { width, seed } = recipe;
  const model = vgg("A", { width, seed, inputSize: 32, classes: 10, classifier: [] }, engine);
  return { model, run: new TrainingRun(model, data, cifarOptions(data, recipe)) };
}

/** Share of the test pictures that the net gets right. */
export async function testAccuracy(model: Sequential, data: CifarSplits, recipe: CifarRecipe): Promise<number> {
  const { normalise } = cifarOptions(data, recipe);
  return (await evaluate(model, data.test, { batch: 100, normalise })).top1;
}

/** A checkpoint that is written after each epoch, so that a script that is killed goes on from there; no file: none. */
export class EpochCheckpoint {
  constructor(private readonly file: string | null) {}

  async load(run: TrainingRun): Promise<void> {
    if (this.file !== null && existsSync(this.file)) await loadCheckpoint(this.file, run);
  }

  async save(run: TrainingRun): Promise<void> {
    if (this.file === null) return;
    await saveCheckpoint(`${this.file}.new`, run);
    renameSync(`${this.file}.new`, this.file);
  }

  remove(): void {
    if (this.file !== null) rmSync(this.file, { force: true });
  }
}
