/**
 * A net that looks at pictures: model, preprocessing and class names in one, as `load` gives it. Prepares pictures, gathers those that
 * come at the same time into batches, and names what the net sees. Where pictures come from is the host's (load.ts, load-browser.ts).
 */
import type { Engine } from "../core/engine.js";
import { DataError, MemoryFullError, UsageError } from "../core/errors.js";
import type { NetMetadata } from "../formats/net-metadata.js";
import type { VggPlan } from "../formats/plan-net.js";
import { normalised, type Preprocessing } from "../io/preprocessing.js";
import { isCount, type NetLayer } from "../models/net-config.js";
import { inMode, type Module } from "../nn/module.js";
import { fitPicture, rescalePicture, toPlanes } from "../pictures/picture.js";
import type { Picture } from "../pictures/pixels.js";
import { BatchQueue } from "./batch-queue.js";
import { denseScores } from "./dense.js";
import { type Prediction, topPredictions } from "./predictions.js";

/** How to look at a picture. */
export interface ClassifyOptions {
  /** How many classes to tell; default 5. */
  readonly top?: number | undefined;
  /**
   * What of the rescaled picture is looked at: the square in the middle (default), or all of it, fully connected layers as convolutions
   * and scores averaged over places, of the picture and its mirror image (the paper's dense evaluation, section 3.2).
   */
  readonly crop?: "center" | "dense" | undefined;
  /** Q: smaller side that the picture is rescaled to; default: the net's own, for ImageNet 256. */
  readonly scale?: number | undefined;
}

/** What a {@link PictureNet} is made of. */
export interface PictureNetParts<P> {
  readonly engine: Engine;
  readonly model: Module;
  /** Those of the model, in its order. */
  readonly layers: readonly NetLayer[];
  /** [channels, height, width] of the input. */
  readonly inputShape: readonly [number, number, number];
  readonly vgg: VggPlan | null;
  readonly preprocessing: Preprocessing;
  /** Names of the classes, by index. */
  readonly classes: readonly string[];
  /** What it is, for people. */
  readonly about: string;
  readonly notes: readonly string[];
  /** Opens what the caller takes for a picture. */
  readonly openPicture: (picture: P) => Promise<Picture>;
  /** Pictures that are computed at once, at most; 1: each by itself. */
  readonly batch: number;
  /** Whether close() ends the engine. */
  readonly ownsEngine: boolean;
}

/** One picture, ready for the net. */
interface Ready {
  readonly x: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly dense: boolean;
}

const MAX_SIDE = 10_000;

/**
 * A net that classifies pictures. Any number of calls may be under way at once.
 * @typeParam P what the host takes for a picture.
 */
export class PictureNet<P> {
  /** The net, in evaluation mode. */
  readonly model: Module;
  readonly engine: Engine;
  readonly layers: readonly NetLayer[];
  /** [channels, height, width]. */
  readonly inputShape: readonly [number, number, number];
  /** Name and options of a VGG net, null for others. */
  readonly vgg: VggPlan | null;
  readonly preprocessing: Preprocessing;
  /** Names of the classes, by index. */
  readonly classes: readonly string[];
  /** What it is, for people: "VGG D, torchvision's names". */
  readonly about: string;
  /** What was guessed. */
  readonly notes: readonly string[];
  private readonly openPicture: (picture: P) => Promise<Picture>;
  private readonly ownsEngine: boolean;
  private readonly queue: BatchQueue<Ready, Float32Array>;
  /** Calls under way: close() waits for them. */
  private readonly calls = new Set<Promise<unknown>>();
  private closed = false;

  constructor(parts: PictureNetParts<P>) {
    this.model = parts.model;
    this.engine = parts.engine;
    this.layers = parts.layers;
    this.inputShape = parts.inputShape;
    this.vgg = parts.vgg;
    this.preprocessing = parts.preprocessing;
    this.classes = parts.classes;
    this.about = parts.about;
    this.notes = parts.notes;
    this.openPicture = parts.openPicture;
    this.ownsEngine = parts.ownsEngine;
    this.queue = new BatchQueue(
      parts.batch,
      (batch) => this.compute(batch),
      (first, other) => first.height === other.height && first.width === other.width && first.dense === other.dense,
    );
  }

  /** What a weights file of this net says of it. */
  get metadata(): Omit<NetMetadata, "rows"> {
    const { inputShape, classes, preprocessing } = this;
    return { inputShape, classes, preprocessing };
  }

  /**
   * The likeliest classes of a picture, likeliest first.
   * @throws DataError for what is no picture; UsageError for options that make no sense; WeightsError where the net gives no numbers.
   */
  async classify(picture: P, { top = 5, ...options }: ClassifyOptions = {}): Promise<Prediction[]> {
    if (!Number.isInteger(top) || top < 1) {
      throw new UsageError(`classify: top is not a positive whole number (top ${top}). Ask for at least one class.`);
    }
    return topPredictions(await this.scores(picture, options), this.classes, top);
  }

  /** One score a class, before the soft-max. @throws as {@link classify} does. */
  async scores(picture: P, options: Omit<ClassifyOptions, "top"> = {}): Promise<Float32Array> {
    const { dense, scale } = this.checkOptions(options);
    return this.call(async () => {
      const opened = checkedPicture(await this.openPicture(picture));
      if (!dense) return this.queue.add(this.centre(opened, scale));
      return this.denseMean(this.whole(opened, scale), scale);
    });
  }

  /** Of a picture and its mirror image. */
  private async denseMean(both: readonly Ready[], scale: number): Promise<Float32Array> {
    // Both have ended when the call has, so that close() may end the engine.
    const ends = await Promise.allSettled(both.map((ready) => this.queue.add(ready)));
    const [plain, mirrored] = ends.map((end) => {
      if (end.status === "fulfilled") return end.value;
      if (!(end.reason instanceof MemoryFullError)) throw end.reason;
      const [{ height, width }] = both;
      throw new MemoryFullError(
        `classify: the picture does not fit into memory as a whole (${width}x${height}, scale ${scale}). Use a smaller scale.`,
      );
    });
    return plain.map((score, i) => (score + mirrored[i]) / 2);
  }

  /**
   * Scores of what is prepared already: RGB planes `[3, height, width]` of the input's size, in bytes.
   * @throws UsageError for another size.
   */
  async scoresOfPlanes(planes: Uint8Array): Promise<Float32Array> {
    const [, height, width] = this.inputShape;
    if (planes.length !== 3 * height * width) {
      throw new UsageError(
        `classify: the planes do not have the input's size (values ${planes.length}, planes [3,${height},${width}]). Use fitPicture.`,
      );
    }
    return this.call(() => this.queue.add({ x: normalised(planes, this.preprocessing), height, width, dense: false }));
  }

  /** Waits for what is under way; ends the engine if it was made for this net. Calls after it fail. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.allSettled(this.calls);
    if (this.ownsEngine) await this.engine.close();
  }

  /** @throws UsageError for options that no picture can be looked at with. */
  checkOptions({ crop = "center", scale = this.preprocessing.scale }: Omit<ClassifyOptions, "top">) {
    const least = Math.min(this.inputShape[1], this.inputShape[2]);
    if (crop !== "center" && crop !== "dense") {
      throw new UsageError(`classify: there is no such crop (crop ${String(crop)}). Use center or dense.`);
    }
    if (!Number.isInteger(scale) || scale < least || scale > MAX_SIDE) {
      throw new UsageError(
        `classify: the scale is not a whole number from the net's input to ${MAX_SIDE} (scale ${scale}, input ${least}). Use a larger one.`,
      );
    }
    return { dense: crop === "dense", scale };
  }

  private async call(work: () => Promise<Float32Array>): Promise<Float32Array> {
    if (this.closed) throw new UsageError("classify: the net is closed (close() was called). Load it again.");
    const result = work();
    this.calls.add(result);
    try {
      return await result;
    } finally {
      this.calls.delete(result);
    }
  }

  private centre(picture: Picture, scale: number): Ready {
    const [, height, width] = this.inputShape;
    const side = Math.max(height, width);
    const square = fitPicture(picture, side, Math.max(side, scale));
    const planes = height === width ? square : cutMiddle(square, side, height, width);
    return { x: normalised(planes, this.preprocessing), height, width, dense: false };
  }

  /** The rescaled picture, and its mirror image. */
  private whole(picture: Picture, scale: number): Ready[] {
    const [, inH, inW] = this.inputShape;
    const rescaled = rescalePicture(picture, Math.max(inH, inW, scale));
    const { height, width } = rescaled;
    const x = normalised(toPlanes(rescaled), this.preprocessing);
    const mirrored = new Float32Array(x.length);
    for (let i = 0; i < x.length; i++) mirrored[i - 2 * (i % width) + width - 1] = x[i];
    return [x, mirrored].map((values) => ({ x: values, height, width, dense: true }));
  }

  private async compute(batch: readonly Ready[]): Promise<Float32Array[]> {
    const { engine, model, layers } = this;
    const [{ height, width, dense, x: first }] = batch;
    const values = new Float32Array(batch.length * first.length);
    batch.forEach(({ x }, i) => {
      values.set(x, i * first.length);
    });
    const scores = engine.scope(() =>
      engine.noGrad(() =>
        inMode(model, false, () => {
          const x = engine.tensor(values, [batch.length, this.inputShape[0], height, width]);
          return dense ? denseScores(model, layers, x) : model.forward(x);
        }),
      ),
    );
    const all = await (await scores).data();
    const count = all.length / batch.length;
    return batch.map((_, i) => all.slice(i * count, (i + 1) * count));
  }
}

/** What plain JavaScript hands over may be anything. */
function checkedPicture(picture: Picture): Picture {
  const { width, height, pixels } = picture ?? {};
  if (isCount(width) && isCount(height) && pixels?.length === width * height * 3) return picture;
  throw new DataError(
    `classify: this is no picture (width ${width}, height ${height}, pixels ${pixels?.length}). ` +
      "Pass a path, an address, the bytes of a file as a Uint8Array, or { width, height, pixels } with three bytes a pixel.",
  );
}

/** The middle of a square of planes. */
function cutMiddle(square: Uint8Array, side: number, height: number, width: number): Uint8Array {
  const [top, left] = [Math.floor((side - height) / 2), Math.floor((side - width) / 2)];
  const planes = new Uint8Array(3 * height * width);
  for (let row = 0; row < 3 * height; row++) {
    const from = (Math.floor(row / height) * side + top + (row % height)) * side + left;
    planes.set(square.subarray(from, from + width), row * width);
  }
  return planes;
}
