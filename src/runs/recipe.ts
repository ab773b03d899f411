/**
 * The paper's training recipe (Simonyan and Zisserman 2014, section 3.1) as a list of runs, at any input size:
 *
 *   1. net A at S = 256 from random weights, where the net asked for is deeper than A
 *   2. the net at S = 256, its first four convolutions and its linear layers from A
 *   3. the net at S = 384 from the net of S = 256, rate 1e-3
 *   4. the net with S drawn from [256; 512] from the net of S = 384, rate 1e-3 (the paper does not state it)
 *
 * Batch 256, momentum 0.9, weight decay 5e-4, dropout 0.5, rate 1e-2 divided by 10 when validation stops improving, three
 * times; random 224 crop of the rescaled picture, flip, colour shift; mean RGB subtracted. Where this differs: weights start
 * by He's rule (the paper's own normal of variance 1e-2 overflows, see vgg.ts), and pixels are also divided by their
 * standard deviation, which He's rule presumes; the first layer's weights could do it as well.
 */
import { UsageError } from "../core/errors.js";
import { vggConfigName } from "../models/vgg-config.js";
import { DEFAULT_REQUEST, type TrainRequest } from "./request.js";

/** The side that the paper's scales refer to. */
const PAPER_INPUT = 224;
const PAPER_HIDDEN = 4096;
/** The paper's 74 epochs; a run ends earlier once its last rate brings nothing. */
const PAPER_EPOCHS = 74;

/** One run of the recipe. */
export interface Stage {
  /** Of its folder: `2-D-256`. */
  readonly name: string;
  readonly request: TrainRequest;
  /** The stage whose weights it starts from, by its place in the list; null: random weights, or `request.initFrom`. */
  readonly from: number | null;
}

/** The training scales of the paper, at an input of 224. */
export const PAPER_SCALES: readonly (number | readonly [number, number])[] = [256, 384, [256, 512]];

/** A scale of the paper for another input size: 256 at 224 is 37 at 32. */
export function scaledTo(input: number, scale: number | readonly [number, number]): number | readonly [number, number] {
  const side = (s: number): number => Math.round((s * input) / PAPER_INPUT);
  return typeof scale === "number" ? side(scale) : [side(scale[0]), side(scale[1])];
}

/** A request with the recipe's values wherever the user gave none. */
export function paperRequest(given: Partial<TrainRequest>): TrainRequest {
  const { width = 1, input = PAPER_INPUT } = given;
  const hidden = Math.max(1, Math.round(PAPER_HIDDEN * width));
  return {
    ...DEFAULT_REQUEST,
    classifier: [hidden, hidden],
    cropPadding: 0,
    colourShift: true,
    epochs: PAPER_EPOCHS,
    batch: 256,
    optimiser: "caffe",
    lr: 0.01,
    schedule: "plateau",
    ...given,
    width,
    input: input ?? PAPER_INPUT,
  };
}

/**
 * The runs of the recipe.
 * @param given what the user asked for; everything else is the paper's.
 * @param scales some of {@link PAPER_SCALES}, in order, as they are at 224.
 * @throws UsageError for an unknown net, no scale, or an input that the net cannot take.
 */
export function paperStages(
  given: Partial<TrainRequest>,
  scales: readonly (number | readonly [number, number])[] = PAPER_SCALES,
): Stage[] {
  const base = paperRequest(given);
  const config = vggConfigName(base.config);
  const input = base.input ?? PAPER_INPUT;
  if (scales.length === 0) throw new UsageError("train: the recipe needs a scale (scales 0). Name one, such as 256.");
  const stages: Stage[] = [];
  const add = (config: string, scale: number | readonly [number, number], from: number | null): void => {
    const label = typeof scale === "number" ? scale : `${scale[0]}-${scale[1]}`;
    // Taken up from the net of another scale, a run begins at the paper's second rate.
    const again = from !== null && stages[from].request.config === config;
    const request = { ...base, config, scale: scaledTo(input, scale), lr: again ? base.lr / 10 : base.lr };
    stages.push({
      name: `${stages.length + 1}-${config}-${label}`,
      request: from === null ? request : { ...request, initFrom: null },
      from,
    });
  };
  const shallow = config === "A" || config === "A-LRN" || base.initFrom !== null;
  if (!shallow) add("A", scales[0], null);
  for (const scale of scales) add(config, scale, stages.length === 0 ? null : stages.length - 1);
  return stages;
}
