/**
 * The work of a thread that makes pictures (picture-pool.ts starts it): reads, decodes, rescales, crops, normalises, or sums up colours.
 * What it makes is a function of the files and the task alone. Between pictures it looks whether anybody still wants them.
 */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { DataError } from "../core/errors.js";
import { Random } from "../core/random.js";
import { decodePicture } from "../pictures/decode-wasm.js";
import { readPictureFile } from "../pictures/picture-file.js";
import { MAX_PIXELS, type Picture } from "../pictures/pixels.js";
import { interleaved, resample, rescaledSize } from "../pictures/resample.js";
import { planeSums } from "./colour.js";
import { PictureCache } from "./picture-cache.js";
import { renderView, scaleRange, type ViewRecipe } from "./view.js";

interface FileTask {
  readonly files: readonly string[];
  /** One shared word: not 0 once nobody waits for the result any more. */
  readonly stop: Int32Array;
}

/** Makes each file's picture as the net sees it in an epoch. */
export interface RenderTask extends FileTask {
  readonly kind: "render";
  /** Place in the set of each file: names its stream of random changes. */
  readonly indices: readonly number[];
  readonly seed: number;
  readonly epoch: number;
  readonly recipe: ViewRecipe;
  readonly cacheDir: string | undefined;
}

/** Sums up the colours of each file, rescaled first where a scale is given. */
export interface SumTask extends FileTask {
  readonly kind: "sum";
  readonly scale: number | undefined;
}

export type PictureTask = RenderTask | SumTask;

/** A file that gave no picture. */
export interface BadPicture {
  /** Place in the task. */
  readonly place: number;
  /** False where the file itself cannot be read: that is not the picture's fault. */
  readonly read: boolean;
  readonly message: string;
}

export interface RenderResult {
  readonly kind: "render";
  /** `[files, 3, size, size]`. */
  readonly x: Float32Array;
  readonly bad: readonly BadPicture[];
  /** Why the cache could not be written. */
  readonly cacheFailure: string | undefined;
}

export interface SumResult {
  readonly kind: "sum";
  /** Of each good picture: how many pixels, and their sums (colour.ts, planeSums). */
  readonly parts: readonly { readonly pixels: number; readonly sums: readonly number[] }[];
  readonly bad: readonly BadPicture[];
}

export type PictureResult = RenderResult | SumResult;

/** One a folder, so that a thread tries but once to write where it cannot. */
const caches = new Map<string, PictureCache>();

export default async function work(task: PictureTask): Promise<unknown> {
  if (task.kind === "sum") return sum(task);
  const result = await render(task);
  // Handed over, not copied.
  return move({
    get [transferableSymbol]() {
      return [result.x.buffer];
    },
    get [valueSymbol]() {
      return result;
    },
  });
}

async function render(task: RenderTask): Promise<RenderResult> {
  const { files, indices, recipe, cacheDir } = task;
  const length = 3 * recipe.view.size * recipe.view.size;
  const x = new Float32Array(files.length * length);
  const augment = new Random(task.seed, "augment", task.epoch);
  const bad: BadPicture[] = [];
  let cacheFailure: string | undefined;
  for (const [place, file] of files.entries()) {
    if (Atomics.load(task.stop, 0) !== 0) break;
    await attempt(bad, place, file, async (bytes) => {
      const { picture, failure } = await basePicture(bytes, file, recipe, cacheDir);
      cacheFailure ??= failure;
      const out = x.subarray(place * length, (place + 1) * length);
      renderView(interleaved(picture), recipe, augment.fork(indices[place]), out);
    });
  }
  return { kind: "render", x, bad, cacheFailure };
}

async function sum({ files, scale, stop }: SumTask): Promise<SumResult> {
  const parts: { pixels: number; sums: number[] }[] = [];
  const bad: BadPicture[] = [];
  for (const [place, file] of files.entries()) {
    if (Atomics.load(stop, 0) !== 0) break;
    await attempt(bad, place, file, async (bytes) => {
      const decoded = await decodePicture(bytes, file);
      const { pixels } = scale === undefined ? decoded : rescaled(decoded, scale, file);
      parts.push({ pixels: pixels.length / 3, sums: planeSums(pixels, 1, 3) });
    });
  }
  return { kind: "sum", parts, bad };
}

/** Reads a file and uses its bytes; what is wrong with file or picture goes to `bad`, for errors lose their class between threads. */
async function attempt(
  bad: BadPicture[],
  place: number,
  file: string,
  use: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let read = false;
  try {
    const bytes = await readPictureFile(file);
    read = true;
    await use(bytes);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    bad.push({ place, read, message: error.message });
  }
}

/**
 * The picture that views are cut from. With a cache or a range of scales it is at the greatest scale, from where smaller ones are made: so
 * the cache changes no bits. At one fixed scale without a cache the view is cut from the picture as it is, which gives the same bits.
 */
async function basePicture(
  bytes: Uint8Array,
  file: string,
  { view }: ViewRecipe,
  cacheDir: string | undefined,
): Promise<{ picture: Picture; failure?: string | undefined }> {
  const [least, greatest] = scaleRange(view);
  if (cacheDir === undefined) {
    const decoded = await decodePicture(bytes, file);
    return { picture: least === greatest ? decoded : rescaled(decoded, greatest, file) };
  }
  let cache = caches.get(cacheDir);
  if (cache === undefined) {
    cache = new PictureCache(cacheDir);
    caches.set(cacheDir, cache);
  }
  const key = cache.key(bytes, greatest);
  const cached = await cache.read(key);
  if (cached !== undefined) return { picture: cached };
  const picture = rescaled(await decodePicture(bytes, file), greatest, file);
  return { picture, failure: await cache.write(key, picture) };
}

function rescaled(picture: Picture, scale: number, file: string): Picture {
  const { width, height } = rescaledSize(picture.width, picture.height, scale);
  if (width * height > MAX_PIXELS) {
    throw new DataError(
      `rescale: the picture ${file} is above 100 megapixels at that scale (width ${picture.width}, height ${picture.height}, ` +
        `scale ${scale}). Cut it, or remove it.`,
    );
  }
  if (width === picture.width && height === picture.height) return picture;
  const pixels = new Uint8Array(width * height * 3);
  resample(interleaved(picture), { width, height, top: 0, left: 0, rows: height, columns: width }, pixels, 3);
  return { width, height, pixels };
}
