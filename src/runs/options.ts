/** From the words and numbers of a request to what the trainer takes: initialiser, optimiser, schedule, view. Pure functions. */
import { UsageError } from "../core/errors.js";
import type { View } from "../data/view.js";
import { glorotUniform, heNormal, type Initialiser, normal } from "../nn/init.js";
import type { Module } from "../nn/module.js";
import { Adam, AdamW } from "../optim/adam.js";
import type { AnyOptimiser } from "../optim/optimiser.js";
import {
  constant,
  cosine,
  oneCycle,
  plateau,
  plateauEnded,
  type Schedule,
  stepDecay,
  warmUp,
} from "../optim/schedule.js";
import { SGD } from "../optim/sgd.js";
import type { TrainRequest } from "./request.js";

/**
 * How weights start: `he`, `glorot`, or `normal:STD`. The paper's own is `normal:0.1` (variance 1e-2), which overflows in
 * deep nets at its rate; Krizhevsky's is `normal:0.01`.
 * @throws UsageError for any other text.
 */
export function initialiserOf(text: string): Initialiser {
  if (text === "he") return heNormal;
  if (text === "glorot") return glorotUniform;
  const std = /^normal:(\d*\.?\d+(?:e-?\d+)?)$/i.exec(text)?.[1];
  if (std !== undefined) return normal(Number(std));
  throw new UsageError(
    `train: there is no such initialisation (init ${text}). Use he, glorot or normal:STD, such as normal:0.01.`,
  );
}

/** Weight decay is for weights: biases and the scales of batch normalisation have none. */
export function optimiserOf(request: TrainRequest): (model: Module) => AnyOptimiser {
  const { optimiser, lr, momentum, weightDecay } = request;
  return (model) => {
    const decayed = model.parameters().filter(({ shape }) => shape.length > 1);
    const others = model.parameters().filter(({ shape }) => shape.length <= 1);
    const groups = [{ parameters: decayed }, { parameters: others, weightDecay: 0 }].filter(
      ({ parameters }) => parameters.length > 0,
    );
    switch (optimiser) {
      case "sgd":
      case "caffe":
        return new SGD(groups, { lr, momentum, weightDecay, form: optimiser === "caffe" ? "caffe" : "pytorch" });
      case "adam":
        return new Adam(groups, { lr, weightDecay });
      case "adamw":
        return new AdamW(groups, { lr, weightDecay });
    }
  };
}

/** The schedule, after a warm-up where one is asked for. */
export function scheduleOf({ schedule, warmUp: steps, patience }: TrainRequest): Schedule {
  const schedules = {
    constant: () => constant,
    "one-cycle": () => oneCycle(),
    cosine: () => cosine(),
    step: () => stepDecay(),
    plateau: () => plateau({ patience }),
  };
  const chosen = schedules[schedule]();
  return steps > 0 ? warmUp(steps, chosen) : chosen;
}

/** When a run ends before its last epoch: with `plateau`, once its last rate brings nothing. */
export function stopOf({ schedule, patience }: TrainRequest): (validation: readonly number[]) => boolean {
  return schedule === "plateau" ? plateauEnded({ patience }) : () => false;
}

/** What the net sees of a training picture; undefined: all of it, as it is. */
export function viewOf({ input, scale }: TrainRequest): View | undefined {
  if (input === null) return undefined;
  return { size: input, scale: scale ?? input, place: "random" };
}
