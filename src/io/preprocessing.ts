/** What a net wants done to a picture before it looks: the known ways, by name, and doing it. Pure functions. */
import { UsageError } from "../core/errors.js";

/** How pixels become a net's input: x = (byte - mean) / std of each channel, R, G, B (or the one grey). */
export interface Preprocessing {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Smaller side of the rescaled picture in whose middle the net looks. */
  readonly scale: number;
}

interface Known {
  readonly about: string;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Order of the channels that the published weights of this kind take. */
  readonly order: "RGB" | "BGR";
  /** Smaller side over the input's side: 256 / 224 as torchvision and the paper's authors test. */
  readonly zoom: number;
}

const TEST_ZOOM = 256 / 224;
const bytes = (r: number, g: number, b: number) => [r * 255, g * 255, b * 255] as const;

/** The ways that published weights were trained with (sources: README of each; Keras's modes have its names). */
export const PREPROCESSINGS = {
  torchvision: {
    about: "RGB in 0 to 1, minus ImageNet's mean, over its deviation",
    mean: bytes(0.485, 0.456, 0.406),
    std: bytes(0.229, 0.224, 0.225),
    order: "RGB",
    zoom: TEST_ZOOM,
  },
  caffe: {
    about: "BGR in 0 to 255, minus ImageNet's mean",
    mean: [123.68, 116.779, 103.939],
    std: [1, 1, 1],
    order: "BGR",
    zoom: TEST_ZOOM,
  },
  features: {
    about: "RGB in 0 to 255, minus a mean (torchvision's VGG16 IMAGENET1K_FEATURES)",
    mean: bytes(0.48235, 0.45882, 0.40784),
    std: [1, 1, 1],
    order: "RGB",
    zoom: TEST_ZOOM,
  },
  unit: { about: "RGB in 0 to 1", mean: [0, 0, 0], std: [255, 255, 255], order: "RGB", zoom: 1 },
  tf: { about: "RGB in -1 to 1", mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5], order: "RGB", zoom: 1 },
  none: { about: "RGB in 0 to 255", mean: [0, 0, 0], std: [1, 1, 1], order: "RGB", zoom: 1 },
} as const satisfies Readonly<Record<string, Known>>;

/** Name of a known way. */
export type PreprocessingName = keyof typeof PREPROCESSINGS;

/** Names of the known ways. */
export const PREPROCESSING_NAMES: readonly PreprocessingName[] = Object.keys(PREPROCESSINGS).filter(isPreprocessing);

/** Whether a way has this name. */
export function isPreprocessing(name: string): name is PreprocessingName {
  return Object.hasOwn(PREPROCESSINGS, name);
}

/** @throws UsageError for an unknown name. */
export function preprocessingName(text: string): PreprocessingName {
  if (isPreprocessing(text)) return text;
  throw new UsageError(
    `load: there is no such preprocessing (preprocessing ${JSON.stringify(text)}). Use one of ${PREPROCESSING_NAMES.join(", ")}.`,
  );
}

/** A known way, for a net of this input size; a net of one channel gets the means of the three. */
export function preprocessingOf(name: PreprocessingName, inputSize: number, channels = 3): Preprocessing {
  const { mean, std, zoom } = PREPROCESSINGS[name];
  const fit = (values: readonly number[]): number[] => {
    if (channels === 3) return [...values];
    return Array<number>(channels).fill(values.reduce((sum, value) => sum + value, 0) / values.length);
  };
  return { mean: fit(mean), std: fit(std), scale: Math.round(inputSize * zoom) };
}

/**
 * RGB planes as a net takes them.
 * @param planes `[3, height, width]`.
 * @returns `[channels, height, width]`, as many channels as there are means: 3, or 1 for grey, by the weights of ITU-R BT.601.
 */
export function normalised(
  planes: Uint8Array,
  { mean, std }: Pick<Preprocessing, "mean" | "std">,
): Float32Array<ArrayBuffer> {
  const plane = planes.length / 3;
  if (mean.length === 1) {
    return Float32Array.from({ length: plane }, (_, i) => (grey(planes, i, plane) - mean[0]) / std[0]);
  }
  const x = new Float32Array(planes.length);
  for (let c = 0, i = 0; c < mean.length; c++) {
    for (const end = (c + 1) * plane; i < end; i++) x[i] = (planes[i] - mean[c]) / std[c];
  }
  return x;
}

/** Rounded to a byte, as Pillow's mode L is. */
function grey(planes: Uint8Array, i: number, plane: number): number {
  return (planes[i] * 19595 + planes[plane + i] * 38470 + planes[2 * plane + i] * 7471 + 0x8000) >> 16;
}
