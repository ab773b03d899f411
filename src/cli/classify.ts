/** `verydeep classify`: what a trained net sees in pictures. One bad picture does not stop the rest. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError, WeightsError } from "../core/errors.js";
import { exp } from "../core/math.js";
import { errorCode } from "../io/atomic-file.js";
import { fitPicture } from "../io/picture.js";
import { readPicture } from "../io/picture-file.js";
import type { Command } from "../vendor/command-line.js";
import { parseWhole, percent } from "./numbers.js";
import type { Output } from "./output.js";
import { addTierOptions, type TierArguments, tierOf } from "./threads.js";
import type { Classifier } from "./work.js";

/** The small net that comes with the package. */
const PACKAGE_WEIGHTS = "weights/shapes-vgg.safetensors";
const MAX_TOP = 1_000_000;
const PICTURE_SUFFIXES = new Set([".png", ".jpg", ".jpeg", ".webp"]);

/** What a net makes of a picture: one of its classes, and how sure it is, as a share of 1. */
export interface Prediction {
  readonly label: string;
  readonly index: number;
  readonly probability: number;
}

interface ClassifyArguments extends TierArguments {
  readonly weights?: string;
  readonly top: number;
}

/** Adds the command; `exit` receives its exit code. */
export function addClassify(program: Command, output: Output, exit: (code: number) => void): void {
  addTierOptions(program.command("classify"))
    .description("tell what a trained net sees in pictures (PNG, JPEG, WebP)")
    .argument("<picture...>", "files")
    .option("--weights <file>", `weights that verydeep train wrote (default: the package's ${PACKAGE_WEIGHTS})`)
    .option("--top <n>", "how many classes to show", (text) => parseWhole("--top", text, 1, MAX_TOP), 5)
    .option("--json", "print one JSON object a picture")
    .action(async (pictures: string[], { weights, top, ...tier }: ClassifyArguments) => {
      const { openClassifier } = await import("./open-classifier.js");
      const singlePicture = pictures.length === 1;
      const classifier = await openClassifier(weights ?? packageWeights(), tierOf(tier), { singlePicture });
      try {
        const failures = await classifyPictures(classifier, pictures, top, output);
        exit(failures > 0 ? 1 : 0);
      } finally {
        await classifier.close();
      }
    });
}

/**
 * Classifies pictures one by one and tells each result, or why there is none.
 * @returns how many failed.
 */
export async function classifyPictures(
  classifier: Classifier,
  pictures: readonly string[],
  top: number,
  output: Output,
): Promise<number> {
  let failures = 0;
  for (const image of pictures) {
    try {
      const planes = fitPicture(await readPicture(image), classifier.inputSize, classifier.scale);
      const predictions = topPredictions(await classifier.scores(planes), classifier.classNames, top);
      output.line(output.paint.bold(image));
      for (const { label, probability } of predictions) output.line(`${percent(probability).padStart(9)}  ${label}`);
      output.record({ image, predictions });
    } catch (error) {
      failures++;
      output.error(error, { image });
    }
  }
  return failures;
}

/**
 * The `top` likeliest classes, likeliest first, equal ones by index; probabilities by soft-max over all classes.
 * @throws WeightsError where a score is not a finite number.
 */
export function topPredictions(scores: Float32Array, classNames: readonly string[], top: number): Prediction[] {
  const bad = scores.findIndex((score) => !Number.isFinite(score));
  if (bad !== -1) {
    throw new WeightsError(
      `classify: a score is not a finite number (class ${JSON.stringify(classNames[bad])}, score ${scores[bad]}). ` +
        "The weights diverged or are damaged: train again, or use another file.",
    );
  }
  const max = scores.reduce((a, b) => Math.max(a, b));
  const parts = Float64Array.from(scores, (score) => exp(score - max));
  const sum = parts.reduce((a, b) => a + b);
  return Array.from(parts, (part, index) => ({ label: classNames[index], index, probability: part / sum }))
    .sort((a, b) => scores[b.index] - scores[a.index] || a.index - b.index)
    .slice(0, top);
}

/**
 * The PNG, JPEG and WebP files of a folder, by name.
 * @throws UsageError where there are none.
 */
export async function listPictures(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw new UsageError(
      `verydeep: the folder cannot be read (folder ${folder}, ${errorCode(error)}). Name a folder of pictures.`,
    );
  }
  // Sorted by code unit: the same order on every machine.
  const pictures = names.filter((name) => PICTURE_SUFFIXES.has(path.extname(name).toLowerCase())).sort();
  if (pictures.length === 0) {
    throw new UsageError(`verydeep: no picture in the folder (folder ${folder}). Put PNG, JPEG or WebP files there.`);
  }
  return pictures.map((name) => path.join(folder, name));
}

function packageWeights(): string {
  return fileURLToPath(new URL(`../../${PACKAGE_WEIGHTS}`, import.meta.url));
}
