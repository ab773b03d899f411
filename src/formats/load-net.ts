/** Builds the net of an open weights file and fills it. What net it is, plan-net.ts decides; the copies are fill-net.ts's. */
import type { Engine } from "../core/engine.js";
import type { WeightsFile } from "../io/weights-file.js";
import type { LinearWeights } from "../models/build-layer.js";
import { Net } from "../models/net.js";
import { vgg } from "../models/vgg.js";
import type { Module } from "../nn/module.js";
import { fillNet } from "./fill-net.js";
import { type NetPlan, type PlanOptions, planNet } from "./plan-net.js";

/** A net from a file, in evaluation mode, and what is known of it. */
export interface FilledNet {
  readonly model: Module;
  readonly plan: NetPlan;
}

/** What to build of a file. */
export interface LoadNetOptions extends PlanOptions {
  /**
   * What fully connected layers keep their weights as; default float32. At batch 1 these layers cost what it costs to read them, so float16
   * and int8 make them faster and smaller; with these the net cannot be trained, nor evaluated densely.
   */
  readonly linearWeights?: LinearWeights | undefined;
}

/**
 * The net of a weights file. Nothing is built before the file's header has been checked against it.
 * @throws WeightsError for a file that is malformed, whose net is unknown, or that does not fit it.
 */
export async function loadNet(file: WeightsFile, engine: Engine, options: LoadNetOptions = {}): Promise<FilledNet> {
  const plan = planNet(file, options);
  return { model: await fillPlanned(file, plan, engine, options.linearWeights), plan };
}

/** The net of a plan, in evaluation mode. @throws WeightsError for values that cannot be read. */
export async function fillPlanned(
  file: WeightsFile,
  plan: NetPlan,
  engine: Engine,
  linearWeights: LinearWeights = "float32",
): Promise<Module> {
  const model = buildPlanned(plan, engine, linearWeights);
  await fillNet(file, model, plan.places);
  return model.eval();
}

/** VGG nets have torchvision's structure, so that all that takes a VGG takes them; others are graphs. */
function buildPlanned({ vgg: net, layers }: NetPlan, engine: Engine, linearWeights: LinearWeights): Module {
  return net === null ? new Net(layers, { linearWeights }, engine) : vgg(net.config, { ...net, linearWeights }, engine);
}
