/** From an open weights file to a net that classifies: the steps that Node and browsers share. The hosts' own are load.ts, load-browser.ts. */
import type { Engine } from "../core/engine.js";
import { UsageError } from "../core/errors.js";
import type { EngineOptions } from "../create-engine.js";
import { imagenetNames } from "../data/imagenet.js";
import { fillPlanned, type LoadNetOptions } from "../formats/load-net.js";
import { type NetPlan, planNet } from "../formats/plan-net.js";
import type { VggMetadata } from "../io/model-format.js";
import type { WeightsFile } from "../io/weights-file.js";
import { netTotals } from "../models/net-config.js";
import { vggLayers } from "../models/vgg-config.js";
import type { Module } from "../nn/module.js";
import type { Picture } from "../pictures/pixels.js";
import { PictureNet } from "./picture-net.js";

/** What `load` takes beside the file: what the file does not say, and how to compute. All optional. */
export interface LoadOptions extends LoadNetOptions {
  /** The engine to build the net in; default: one of its own, which `close()` ends. */
  readonly engine?: Engine | undefined;
  /**
   * Pictures that are computed at once, at most, where several calls are under way (default 8). The last bits of a score depend on how
   * many are computed together; with 1 they do not.
   */
  readonly batch?: number | undefined;
}

/** How the engine of its own is made, where none is given: as createEngine takes it. */
export type OwnEngineOptions = Pick<
  EngineOptions,
  "backend" | "threads" | "tier" | "deterministic" | "precision" | "keepTransformedWeights"
>;

/** What a host brings. */
export interface LoadHost<P> {
  readonly createEngine: (options: EngineOptions) => Promise<Engine>;
  readonly openPicture: (picture: P) => Promise<Picture>;
}

const DEFAULT_BATCH = 8;
const MOST_AT_ONCE = 1024;
const IMAGENET_CLASSES = 1000;

/** Opens, builds, fills; whatever fails, the file is closed, and the engine if it was made here. */
export async function makePictureNet<P>(
  open: () => Promise<WeightsFile>,
  options: LoadOptions & OwnEngineOptions,
  host: LoadHost<P>,
): Promise<PictureNet<P>> {
  const { batch = DEFAULT_BATCH } = options;
  if (!Number.isInteger(batch) || batch < 1 || batch > MOST_AT_ONCE) {
    throw new UsageError(`load: batch is not a whole number from 1 to ${MOST_AT_ONCE} (batch ${batch}). Leave it out.`);
  }
  const file = await open();
  let engine: Engine | null = null;
  try {
    const plan = planNet(file, options);
    engine = options.engine ?? (await host.createEngine(ownEngine(options, netTotals(plan.layers).macs * batch)));
    const model = await fillPlanned(file, plan, engine, options.linearWeights);
    const { layers, inputShape, vgg, preprocessing, about, notes } = plan;
    const classes = await classNames(plan);
    const how = { openPicture: host.openPicture, batch, ownsEngine: !options.engine };
    return new PictureNet({ engine, model, layers, inputShape, vgg, preprocessing, classes, about, notes, ...how });
  } catch (error) {
    if (!options.engine) await engine?.close();
    throw error;
  } finally {
    await file.close();
  }
}

/** The options of an engine for a net; what was not asked for is left out. */
function ownEngine(options: OwnEngineOptions, macs: number): EngineOptions {
  const { backend, threads, tier, deterministic, precision, keepTransformedWeights } = options;
  return {
    macs,
    ...(backend !== undefined && { backend }),
    ...(threads !== undefined && { threads }),
    ...(tier !== undefined && { tier }),
    ...(deterministic !== undefined && { deterministic }),
    ...(precision !== undefined && { precision }),
    ...(keepTransformedWeights !== undefined && { keepTransformedWeights }),
  };
}

/** The VGG net that is being trained, as one that classifies. */
export function pictureNetOfVgg<P>(
  model: Module,
  { classes, mean, std, scale, ...rest }: VggMetadata,
  engine: Engine,
  openPicture: LoadHost<P>["openPicture"],
): PictureNet<P> {
  const vgg = { ...rest, classes: classes.length };
  const { config, inputSize } = vgg;
  const preprocessing = { mean, std, scale: scale ?? inputSize };
  const net = { engine, model, layers: vggLayers(config, vgg), inputShape: [3, inputSize, inputSize] as const, vgg };
  const how = { openPicture, batch: 1, ownsEngine: false };
  return new PictureNet({ ...net, preprocessing, classes, about: `VGG ${config}`, notes: [], ...how });
}

/** The plan's names; else ImageNet's where there are as many, else numbers. */
export async function classNames({
  classes,
  outputs,
}: Pick<NetPlan, "classes" | "outputs">): Promise<readonly string[]> {
  if (classes) return classes;
  if (outputs === IMAGENET_CLASSES) return imagenetNames();
  return Array.from({ length: outputs }, (_, i) => `class ${i}`);
}
