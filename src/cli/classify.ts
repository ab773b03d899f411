/** `verydeep classify`: what a trained net sees in pictures. One bad picture does not stop the rest. */
import { fileURLToPath } from "node:url";
import type { Prediction } from "../classify/predictions.js";
import { UsageError } from "../core/errors.js";
import type { LinearWeights } from "../models/build-layer.js";
import type { Command } from "../vendor/command-line.js";
import { addNetOptions, type NetArguments, parseWeightType, planOptions } from "./net-options.js";
import { parseWhole, percent } from "./numbers.js";
import { type Output, printable } from "./output.js";
import { expandPictures } from "./pictures.js";
import { addTierOptions, type TierArguments, tierOf } from "./threads.js";

/** The small net that comes with the package. */
const PACKAGE_WEIGHTS = "weights/shapes-vgg.safetensors";
const MAX_TOP = 1_000_000;
const MAX_SCALE = 10_000;
/** Cells of the longest bar. */
const BAR_WIDTH = 30;
/** Parts of a cell, in eighths. */
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

interface ClassifyArguments extends TierArguments, NetArguments {
  readonly weights?: string;
  readonly top: number;
  readonly crop?: "center" | "dense";
  readonly scale?: number;
  readonly linearWeights?: LinearWeights;
}

/** Looks at one picture. */
export type Look = (picture: string, top: number) => Promise<Prediction[]>;

/** Adds the command; `exit` receives its exit code. */
export function addClassify(program: Command, output: Output, exit: (code: number) => void): void {
  const command = program
    .command("classify")
    .description("tell what a net sees in pictures (PNG, JPEG, WebP)")
    .argument("<picture...>", "files, folders, patterns, addresses")
    .option(
      "--weights <file>",
      `weights file of any format, an address, or the name of a net that verydeep pull fetched (default: the package's ${PACKAGE_WEIGHTS})`,
    )
    .option("--top <n>", "how many classes to show", (text) => parseWhole("--top", text, 1, MAX_TOP), 5)
    .option("--crop <which>", "look at the center, or dense: at all of the picture, and its mirror image", parseCrop)
    .option("--scale <q>", "smaller side that pictures are rescaled to first (default: the net's)", (text) =>
      parseWhole("--scale", text, 1, MAX_SCALE),
    )
    .option(
      "--linear-weights <type>",
      "how fully connected layers are kept in memory: f32 (default), f16, int8",
      (text) => parseWeightType("--linear-weights", text),
    );
  addTierOptions(addNetOptions(command))
    .option("--json", "print one JSON object a picture")
    .action(async (names: string[], options: ClassifyArguments) => {
      const { weights = packageWeights(), top, crop, scale, linearWeights, ...rest } = options;
      const pictures = await expandPictures(names);
      const { openClassifier } = await import("./open-classifier.js");
      const classifier = await openClassifier(weights, {
        ...(await planOptions(rest)),
        backend: rest.backend,
        tier: tierOf(rest),
        linearWeights,
        singlePicture: pictures.length === 1,
      });
      try {
        for (const note of classifier.notes) output.note(note);
        // What no picture can be looked at with is said once, and as a call that is wrong.
        classifier.checkOptions({ crop, scale });
        const look: Look = (picture, count) => classifier.classify(picture, { top: count, crop, scale });
        exit((await classifyPictures(look, pictures, top, output)) > 0 ? 1 : 0);
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
  look: Look,
  pictures: readonly string[],
  top: number,
  output: Output,
): Promise<number> {
  let failures = 0;
  for (const image of pictures) {
    try {
      const predictions = await look(image, top);
      output.line(output.paint.bold(printable(image)));
      for (const line of predictionLines(predictions, output)) output.line(line);
      output.record({ image, predictions });
    } catch (error) {
      failures++;
      output.error(error, { image });
    }
  }
  return failures;
}

/** A line a class; on a terminal with a bar. */
function predictionLines(predictions: readonly Prediction[], output: Output): string[] {
  return predictions.map(({ label, probability }) => {
    const share = percent(probability).padStart(9);
    const name = printable(label);
    return output.terminal ? `${share}  ${output.paint.cyan(bar(probability))}  ${name}` : `${share}  ${name}`;
  });
}

/** A share of 1 as a bar, padded to the full width. */
export function bar(share: number): string {
  const eighths = Math.round(share * BAR_WIDTH * 8);
  return ("█".repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]).padEnd(BAR_WIDTH);
}

function parseCrop(text: string): "center" | "dense" {
  if (text === "center" || text === "dense") return text;
  if (text === "centre") return "center";
  throw new UsageError(`verydeep: there is no such crop (--crop ${text}). Use center or dense.`);
}

function packageWeights(): string {
  return fileURLToPath(new URL(`../../${PACKAGE_WEIGHTS}`, import.meta.url));
}
