/**
 * What a training run was asked to do: one plain record, complete, as config.json holds it. Everything that the bits of the
 * result depend on is in it; what only changes speed or place (threads, folders) is not.
 */
import { UsageError } from "../core/errors.js";

/** The optimisers by name; `caffe` is SGD with the rate inside the velocity, as the paper's code had it. */
export const OPTIMISERS = ["sgd", "caffe", "adam", "adamw"] as const;
export type OptimiserName = (typeof OPTIMISERS)[number];

/** The schedules by name: optim/schedule.ts. */
export const SCHEDULES = ["constant", "one-cycle", "cosine", "step", "plateau"] as const;
export type ScheduleName = (typeof SCHEDULES)[number];

/** Backends that the command line offers. */
export const BACKENDS = ["auto", "wasm", "webgpu", "reference"] as const;
export type BackendName = (typeof BACKENDS)[number];

/** Tiers of the wasm backend: backend/wasm/tiers.ts. */
export const TIERS = ["auto", "plain", "relaxed", "turbo"] as const;
export type TierName = (typeof TIERS)[number];
/** The tier of a run that has begun. */
export type RunTier = Exclude<TierName, "auto">;

export interface TrainRequest {
  /** A net's name: vgg-config.ts. */
  readonly config: string;
  readonly batchNorm: boolean;
  /** Scales the channels of all convolutions. */
  readonly width: number;
  /** Widths of the hidden linear layers. */
  readonly classifier: readonly number[];
  readonly dropout: number;
  /** `he`, `glorot`, or the standard deviation of a normal: `normal:0.01`. */
  readonly init: string;
  /** A weights file to start from: of the same net, or of a shallower one. */
  readonly initFrom: string | null;
  /** As openData() takes it. */
  readonly data: string;
  /** Height and width that the net sees; null: those of the pictures. */
  readonly input: number | null;
  /** Smaller side of the rescaled picture, or the range that it is drawn from; null: the input, nothing is cut. */
  readonly scale: number | readonly [number, number] | null;
  /** Random moves by so many pixels, with the mean colour around. */
  readonly cropPadding: number;
  readonly flip: boolean;
  /** Random shift along the principal colours of the training pictures. */
  readonly colourShift: boolean;
  readonly epochs: number;
  readonly batch: number;
  /** Pictures computed at once; null: the batch, or what fits into memory. */
  readonly microBatch: number | null;
  readonly optimiser: OptimiserName;
  readonly lr: number;
  readonly momentum: number;
  readonly weightDecay: number;
  readonly schedule: ScheduleName;
  /** Steps over which the rate rises at the start. */
  readonly warmUp: number;
  /** Epochs without improvement after which `plateau` divides the rate. */
  readonly patience: number;
  readonly seed: number;
  /** `auto` only before the engine is there. */
  readonly backend: BackendName;
  /** `auto` only before the engine is there, and with backends other than wasm: a run that has begun has a tier. */
  readonly tier: TierName;
}

/** What the plain command does: under a minute on two cores, 98.9 % of the built-in test pictures. */
export const DEFAULT_REQUEST: TrainRequest = {
  config: "A",
  batchNorm: false,
  width: 0.125,
  // Small pictures need no hidden layers: one linear layer learns faster and as well.
  classifier: [],
  dropout: 0.5,
  init: "he",
  initFrom: null,
  data: "shapes",
  input: null,
  scale: null,
  // Moves and mirrors: all of the built-in classes and CIFAR-10's survive both.
  cropPadding: 4,
  flip: true,
  colourShift: false,
  epochs: 10,
  batch: 64,
  microBatch: null,
  optimiser: "sgd",
  lr: 0.03,
  momentum: 0.9,
  weightDecay: 5e-4,
  schedule: "one-cycle",
  warmUp: 0,
  patience: 2,
  seed: 1,
  backend: "auto",
  tier: "auto",
};

/** The input of nets for pictures on disk, which have any size (the paper, section 2.1). */
const FOLDER_INPUT = 224;

/**
 * A complete request: what the user gave, and the defaults for the rest.
 * Pictures on disk are rescaled so that their smaller side is 256 where the net sees 224, and cut at random. What is cut at
 * random is not moved besides.
 */
export function completeRequest(given: Partial<TrainRequest>): TrainRequest {
  const { data = DEFAULT_REQUEST.data } = given;
  if (!data.startsWith("folder:")) {
    const isCut = (given.input ?? null) !== null || (given.scale ?? null) !== null;
    return { ...DEFAULT_REQUEST, ...(isCut ? { cropPadding: 0 } : {}), ...given };
  }
  const input = given.input ?? FOLDER_INPUT;
  const scale = given.scale ?? Math.round((input * 256) / FOLDER_INPUT);
  return { ...DEFAULT_REQUEST, cropPadding: 0, ...given, input, scale };
}

/**
 * A request from JSON: as config.json holds it.
 * @throws UsageError for a field that is missing or of another kind.
 */
export function parseRequest(json: Readonly<Record<string, unknown>>, file: string): TrainRequest {
  // Before there were tiers, all runs were plain.
  const { tier = "plain" } = json;
  const fields = Object.entries(DEFAULT_REQUEST).map(([name, example]) => {
    const value = name === "tier" ? tier : json[name];
    if (!fits(name, value, example)) {
      throw new UsageError(
        `train: a field of ${file} is missing or wrong (${name} ${JSON.stringify(value)}). Begin the run anew.`,
      );
    }
    return [name, value];
  });
  // Every field was compared with the example of its kind.
  return Object.fromEntries(fields);
}

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  optimiser: OPTIMISERS,
  schedule: SCHEDULES,
  backend: BACKENDS,
  tier: TIERS,
};

function fits(name: string, value: unknown, example: unknown): boolean {
  const isNumber = (item: unknown): boolean => typeof item === "number" && Number.isFinite(item);
  if (name in CHOICES) return typeof value === "string" && CHOICES[name].includes(value);
  if (name === "classifier") return Array.isArray(value) && value.every(isNumber);
  if (name === "initFrom") return value === null || typeof value === "string";
  if (name === "scale")
    return value === null || isNumber(value) || (Array.isArray(value) && value.length === 2 && value.every(isNumber));
  if (example === null) return value === null || isNumber(value);
  return typeof value === typeof example && (typeof value !== "number" || isNumber(value));
}
