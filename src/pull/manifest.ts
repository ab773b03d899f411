/**
 * The published weights that `pull` knows: weights/manifest.json as typed entries, found by name. Which of them are on this machine says
 * cache.ts; how they get there, pull-entry.ts.
 */
import { readFileSync } from "node:fs";
import { UsageError } from "../core/errors.js";

/** One weights file that somebody publishes, and what its net expects of pictures. */
export interface ManifestEntry {
  /** `vgg16`, `vgg16_bn`, … */
  readonly name: string;
  readonly config: "A" | "B" | "D" | "E";
  readonly batchNorm: boolean;
  /** How many parameters the net has. */
  readonly params: number;
  /** Name of the file, in the cache as at its source. */
  readonly file: string;
  /** Where it is published; a mirror has another address and the same file name. */
  readonly url: string;
  /** Its size, as exactly as it is published: both are equal, or 1 kB apart. */
  readonly minBytes: number;
  readonly maxBytes: number;
  /** What its SHA-256 begins with, in hexadecimal digits: the eight that are published, or all 64. */
  readonly sha256: string;
  /** Under which terms one may use it, as a sentence. */
  readonly licence: string;
  /** Percentage of ImageNet's validation pictures whose class is the likeliest, and among the five likeliest, as published. */
  readonly top1: number;
  readonly top5: number;
  /** Per channel R, G, B: x = (pixel / 255 - mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The smaller side of a picture, scaled, and the side of the square in its centre that the net sees. */
  readonly scale: number;
  readonly inputSize: number;
}

type FileEntry = Omit<
  ManifestEntry,
  "url" | "minBytes" | "maxBytes" | "licence" | "mean" | "std" | "scale" | "inputSize"
> & {
  readonly mebibytes: number;
  readonly bytes?: number;
};

interface ManifestFile {
  readonly base: string;
  readonly licence: string;
  readonly preprocessing: Pick<ManifestEntry, "mean" | "std" | "scale" | "inputSize">;
  readonly nets: readonly FileEntry[];
}

let entries: readonly ManifestEntry[] | undefined;

/** All published weights that `pull` knows. */
export function manifestEntries(): readonly ManifestEntry[] {
  entries ??= readManifest();
  return entries;
}

/**
 * The published weights of a name, in whatever case: `vgg16`, `vgg16_bn` or `vgg16-bn`.
 * @returns undefined for a name that there are no weights for.
 */
export function manifestEntry(name: string): ManifestEntry | undefined {
  const wanted = name.toLowerCase().replace("-", "_");
  return manifestEntries().find((entry) => entry.name === wanted);
}

/**
 * The same.
 * @throws UsageError where there are none, which lists all.
 */
export function needManifestEntry(name: string): ManifestEntry {
  const entry = manifestEntry(name);
  if (entry) return entry;
  const names = manifestEntries().map((known) => known.name);
  throw new UsageError(
    `pull: there are no published weights of this name (net ${JSON.stringify(name)}). Use one of ${names.join(", ")}.`,
  );
}

function readManifest(): ManifestEntry[] {
  const text = readFileSync(new URL("../../weights/manifest.json", import.meta.url), "utf8");
  const { base, licence, preprocessing, nets }: ManifestFile = JSON.parse(text);
  const { mean, std, scale, inputSize } = preprocessing;
  return nets.map(({ mebibytes, bytes, ...net }) => ({
    ...net,
    url: base + net.file,
    // Published to three digits.
    minBytes: bytes ?? Math.ceil((mebibytes - 0.0005) * 2 ** 20),
    maxBytes: bytes ?? Math.floor((mebibytes + 0.0005) * 2 ** 20),
    licence,
    mean,
    std,
    scale,
    inputSize,
  }));
}
