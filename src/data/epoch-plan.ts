/**
 * Which pictures are in which batch, and from which stream their random changes come: functions of (seed, epoch) alone. Shared by the
 * loader of pictures in memory and that of files.
 */
import { UsageError } from "../core/errors.js";
import { Random } from "../core/random.js";

export interface EpochPlanOptions {
  readonly batch: number;
  readonly seed?: number;
  readonly shuffle?: boolean;
  readonly dropLast?: boolean;
}

export class EpochPlan {
  readonly batch: number;
  /** Batches in one epoch. */
  readonly steps: number;
  /** Pictures in one epoch. */
  readonly count: number;
  readonly #pictures: number;
  readonly #seed: number;
  readonly #shuffle: boolean;

  /**
   * @param pictures how many the set has.
   * @throws UsageError for a batch size or seed out of range, or where dropLast leaves no batch.
   */
  constructor(pictures: number, { batch, seed = 1, shuffle = false, dropLast = false }: EpochPlanOptions) {
    if (!Number.isInteger(batch) || batch < 1) {
      throw new UsageError(
        `loader: the batch is not a positive whole number (batch ${batch}). Pass the number of pictures in a batch.`,
      );
    }
    if (dropLast && batch > pictures) {
      throw new UsageError(
        `loader: no batch is left (batch ${batch}, count ${pictures}, dropLast true). Pass a smaller batch.`,
      );
    }
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new UsageError(`loader: the seed is not a whole number from 0 to 2^53 - 1 (seed ${seed}). Pass one.`);
    }
    this.batch = batch;
    this.count = dropLast ? pictures - (pictures % batch) : pictures;
    this.steps = dropLast ? Math.floor(pictures / batch) : Math.ceil(pictures / batch);
    this.#pictures = pictures;
    this.#seed = seed;
    this.#shuffle = shuffle;
  }

  /**
   * Places in the data set of the pictures of each batch, from batch `firstStep` on.
   * @throws UsageError for an epoch or step out of range.
   */
  *indices(epoch: number, firstStep: number): Generator<Int32Array, void, undefined> {
    checkEpoch(epoch);
    if (!Number.isInteger(firstStep) || firstStep < 0 || firstStep > this.steps) {
      throw new UsageError(
        `loader.epoch: there is no such step (firstStep ${firstStep}, steps ${this.steps}). Pass 0 to ${this.steps}.`,
      );
    }
    const order = this.#shuffle ? new Random(this.#seed, "order", epoch).permutation(this.#pictures) : undefined;
    for (let step = firstStep; step < this.steps; step++) {
      const begin = step * this.batch;
      const length = Math.min(this.batch, this.#pictures - begin);
      yield Int32Array.from({ length }, (_, i) => (order === undefined ? begin + i : order[begin + i]));
    }
  }

  /** The stream that each picture forks, by its place in the set, for its changes. */
  augment(epoch: number): Random {
    checkEpoch(epoch);
    return new Random(this.#seed, "augment", epoch);
  }
}

function checkEpoch(epoch: number): void {
  if (!Number.isSafeInteger(epoch) || epoch < 0) {
    throw new UsageError(
      `loader.epoch: the epoch is not a whole number of at least 0 (epoch ${epoch}). Count epochs from 0.`,
    );
  }
}
