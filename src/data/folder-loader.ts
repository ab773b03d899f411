/**
 * Batches of pictures in files (Node): which picture is where is epoch-plan.ts's, what is made of a file is picture-worker.ts's, in threads
 * of their own. This file keeps a few batches ahead, puts the pieces together, and deals with pictures that are bad. What comes out depends
 * on the files and (seed, epoch, picture) alone: not on the number of threads, the cache, or where reading began.
 */
import { DataError, UsageError } from "../core/errors.js";
import type { Batch, BatchSource } from "./batch-source.js";
import { addColours, type ColourSums, checkColourShift, noColours } from "./colour.js";
import type { FolderDataset } from "./dataset.js";
import { EpochPlan } from "./epoch-plan.js";
import { PicturePool } from "./picture-pool.js";
import type { OpenBatchesOptions, PictureReader, SumOptions } from "./picture-reader.js";
import type { RenderResult } from "./picture-worker.js";
import { normaliseTable } from "./transforms.js";
import { checkView, type ViewRecipe } from "./view.js";

/** Pictures in one task: few enough that several threads share a batch, and that an end is noticed soon. */
const GROUP = 16;
const DEFAULT_WORKERS = 1;
const DEFAULT_PREFETCH = 2;
/** Batches that are made ahead take no more, unless one alone does. */
const MAX_PREFETCH_BYTES = 256e6;

/** What a piece of work needs of its epoch. */
interface EpochWork {
  readonly epoch: number;
  readonly stop: Int32Array;
}

export class FolderLoader implements BatchSource {
  readonly dataset: FolderDataset;
  readonly batch: number;
  readonly steps: number;
  readonly count: number;
  /** Batches made ahead of the one in use. */
  readonly prefetch: number;
  readonly pool: PicturePool;
  readonly #plan: EpochPlan;
  readonly #seed: number;
  readonly #recipe: ViewRecipe;
  readonly #cacheDir: string | undefined;
  readonly #skips: boolean;
  readonly #onNote: (text: string) => void;
  /** Places of the pictures found bad so far. */
  readonly #bad = new Set<number>();
  #cacheNoted = false;

  /** @throws UsageError for an option out of range, or no view; ShapeError where `normalise` does not have three means and stds. */
  constructor(dataset: FolderDataset, options: OpenBatchesOptions) {
    const { view, seed = 1, workers = DEFAULT_WORKERS, prefetch = DEFAULT_PREFETCH, onBadPicture = "fail" } = options;
    const { cropPadding = 0, flip = false, colourShift } = options.augment ?? {};
    const { mean, std } = options.normalise;
    this.#plan = new EpochPlan(dataset.files.length, options);
    if (view === undefined) {
      throw new UsageError(
        `loader: pictures in files need a view (set ${dataset.name}). Pass such as view: { size: 224, scale: 256, place: "random" }.`,
      );
    }
    checkView("loader", view, cropPadding);
    if (colourShift !== undefined) checkColourShift("loader", colourShift, 3);
    normaliseTable(options.normalise, 3);
    if (!Number.isInteger(prefetch) || prefetch < 1) {
      throw new UsageError(
        `loader: the prefetch is not a positive whole number (prefetch ${prefetch}). Pass the number of batches to make ahead.`,
      );
    }
    const batchBytes = this.#plan.batch * 3 * view.size * view.size * 4;
    this.dataset = dataset;
    this.batch = this.#plan.batch;
    this.steps = this.#plan.steps;
    this.count = this.#plan.count;
    this.prefetch = Math.max(1, Math.min(prefetch, Math.floor(MAX_PREFETCH_BYTES / batchBytes)));
    this.pool = new PicturePool(workers);
    this.#seed = seed;
    this.#recipe = { view, flip, colourShift, normalise: { mean: [...mean], std: [...std] } };
    this.#cacheDir = options.cacheDir;
    this.#skips = onBadPicture === "skip";
    this.#onNote = options.onNote ?? (() => {});
  }

  /**
   * The batches of one epoch. Leaving the loop early stops what runs ahead.
   * @throws UsageError for an epoch or step out of range, or after close(); DataError for a picture that is bad and not skipped, or a file
   * that cannot be read; BackendError where a thread dies.
   */
  async *epoch(epoch: number, firstStep = 0): AsyncGenerator<Batch, void, undefined> {
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const plan = this.#plan.indices(epoch, firstStep);
    const ahead: Promise<Batch>[] = [];
    const startNext = (): void => {
      const next = plan.next();
      if (next.done) return;
      const made = this.#makeBatch(next.value, { epoch, stop });
      // Its failure is reported when its turn comes; should that never be, it must not end the process.
      made.catch(() => {});
      ahead.push(made);
    };
    try {
      for (let i = 0; i < this.prefetch; i++) startNext();
      for (let made = ahead.shift(); made !== undefined; made = ahead.shift()) {
        const batch = await made;
        startNext();
        yield batch;
      }
    } finally {
      Atomics.store(stop, 0, 1);
      await Promise.allSettled(ahead);
    }
  }

  /** Ends the threads. */
  async close(): Promise<void> {
    await this.pool.close();
  }

  async #makeBatch(indices: Int32Array, work: EpochWork): Promise<Batch> {
    const { size } = this.#recipe.view;
    const length = 3 * size * size;
    const starts = Array.from({ length: Math.ceil(indices.length / GROUP) }, (_, group) => group * GROUP);
    const groups = await settled(starts.map((start) => this.#makeGroup(indices.slice(start, start + GROUP), work)));
    // One group is the batch; several are copied together.
    const x = groups.length === 1 ? groups[0].x : new Float32Array(indices.length * length);
    const used = new Int32Array(indices.length);
    for (const [group, start] of starts.entries()) {
      if (groups.length > 1) x.set(groups[group].x, start * length);
      used.set(groups[group].indices, start);
    }
    const labels = Int32Array.from(used, (index) => this.dataset.labels[index]);
    return { x, shape: [indices.length, 3, size, size], labels, indices: used };
  }

  /** The pictures at these places, with good ones in place of the bad. */
  async #makeGroup(places: Int32Array, work: EpochWork): Promise<{ x: Float32Array; indices: Int32Array }> {
    const indices = places.map((place) => this.#nextGood(place));
    const { x, bad } = await this.#render(indices, work);
    const length = x.length / indices.length;
    for (const { place, ...reason } of bad) {
      let found = reason;
      for (;;) {
        this.#leaveOut(indices[place], found);
        indices[place] = this.#nextGood(indices[place]);
        const other = await this.#render(indices.subarray(place, place + 1), work);
        if (other.bad.length === 0) {
          x.set(other.x, place * length);
          break;
        }
        found = other.bad[0];
      }
    }
    return { x, indices };
  }

  async #render(indices: Int32Array, { epoch, stop }: EpochWork): Promise<RenderResult> {
    const result = await this.pool.render({
      kind: "render",
      files: Array.from(indices, (index) => this.dataset.files[index]),
      indices: [...indices],
      seed: this.#seed,
      epoch,
      recipe: this.#recipe,
      cacheDir: this.#cacheDir,
      stop,
    });
    if (result.cacheFailure !== undefined && !this.#cacheNoted) {
      this.#cacheNoted = true;
      this.#onNote(`The cache cannot be written (${result.cacheFailure}): pictures are decoded in every epoch.`);
    }
    return result;
  }

  /** Notes a bad picture, or throws where it may not be left out. */
  #leaveOut(index: number, { read, message }: { readonly read: boolean; readonly message: string }): void {
    if (!this.#skips || !read) throw new DataError(message);
    if (this.#bad.has(index)) return;
    this.#bad.add(index);
    this.#onNote(`A bad picture is left out, and the next good one takes its place: ${message}`);
  }

  /** This place, or the next whose picture is not known to be bad, from the end to the beginning again. */
  #nextGood(index: number): number {
    const count = this.dataset.files.length;
    if (this.#bad.size === count) {
      throw new DataError(
        `loader: all pictures are bad (set ${this.dataset.name}, count ${count}). Get the files again.`,
      );
    }
    let at = index;
    while (this.#bad.has(at)) at = (at + 1) % count;
    return at;
  }
}

/** All results; or, when all have ended, the first failure in order. */
async function settled<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** Sums over all pixels of the files, in threads. */
async function colourSums(files: readonly string[], options: SumOptions): Promise<ColourSums> {
  const { scale, workers = DEFAULT_WORKERS, onBadPicture = "fail", signal, onProgress } = options;
  signal?.throwIfAborted();
  if (scale !== undefined) checkView("trainingStatistics", { size: scale, place: "centre" }, 0);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const abort = (): void => {
    Atomics.store(stop, 0, 1);
  };
  signal?.addEventListener("abort", abort);
  const pool = new PicturePool(workers);
  let colours = noColours();
  let done = 0;
  const sumGroup = async (start: number): Promise<void> => {
    const group = files.slice(start, start + GROUP);
    try {
      const { parts, bad } = await pool.sum({ kind: "sum", files: group, scale, stop });
      signal?.throwIfAborted();
      for (const { read, message } of bad) if (onBadPicture === "fail" || !read) throw new DataError(message);
      for (const { pixels, sums } of parts) colours = addColours(colours, sums, pixels);
      done += group.length;
      onProgress?.(done, files.length);
    } catch (error) {
      abort();
      throw error;
    }
  };
  try {
    const starts = Array.from({ length: Math.ceil(files.length / GROUP) }, (_, group) => group * GROUP);
    await settled(starts.map(sumGroup));
  } finally {
    signal?.removeEventListener("abort", abort);
    await pool.close();
  }
  if (colours.pixels === 0n) {
    throw new DataError(`trainingStatistics: all pictures are bad (count ${files.length}). Get the files again.`);
  }
  return colours;
}

/** Node's reader of pictures in files. */
export const folderReader: PictureReader = {
  batches: (set, options) => new FolderLoader(set, options),
  colourSums,
};
