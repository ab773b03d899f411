/**
 * Does storing weights in fewer bits change what a net says? Trains A on CIFAR-10, or takes a weights file of such a net, writes it as float16 and as
 * int8 (all layers' weights), reads it again with the fully connected layers kept so in memory, and counts the test pictures whose first
 * class is the float32 net's.
 *
 *   node --import tsx scripts/long/quantised-accuracy.ts [--weights FILE] [--epochs 8] [--width 0.25] [--classifier 256,256] [--batch 64]
 *       [--pictures 1000] [--threads N] [--tier plain] [--data DIR] [--save FILE]
 *
 * Exits with 1 where fewer agree than BARS wants.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { loadNet } from "#src/formats/load-net.js";
import {
  argmax,
  CIFAR10_NAMES,
  createEngine,
  decodeModel,
  type Engine,
  encodeModel,
  type Module,
  openBatches,
  saveModel,
  TrainingRun,
  type VggMetadata,
  vgg,
} from "#src/index.js";
import { loadModel } from "#src/io/checkpoint.js";
import { parseSafetensors } from "#src/io/safetensors.js";
import { TIERS } from "#src/runs/request.js";
import { chosen } from "../../bench/harness.js";
import { type CifarRecipe, type CifarSplits, cifarOptions, openCifar } from "./cifar.js";
import { runScript, wholeNumbers } from "./rows.js";

/** Least share of pictures whose first class is the float32 net's. */
const BARS = { float16: 0.999, int8: 0.99 } as const;
const EVALUATION_BATCH = 100;

interface Trained {
  readonly model: Module;
  readonly metadata: VggMetadata;
}

async function trainNet(
  engine: Engine,
  data: CifarSplits,
  recipe: CifarRecipe,
  classifier: readonly number[],
): Promise<Trained> {
  const { width, seed, epochs } = recipe;
  const model = vgg("A", { width, seed, inputSize: 32, classes: 10, classifier }, engine);
  const options = cifarOptions(data, recipe);
  for await (const record of new TrainingRun(model, data, options).records()) {
    if (record.kind !== "epoch") continue;
    const { epoch, valTop1, seconds } = record;
    console.error(`epoch ${epoch}/${epochs}: validation ${percent(valTop1)}, ${seconds.toFixed(0)} s`);
  }
  const { mean, std } = options.normalise;
  const net = { config: "A", inputSize: 32, width, classifier, dropout: 0.5 } as const;
  return { model, metadata: { ...net, classes: CIFAR10_NAMES, mean, std } };
}

/** The first class of each picture, and how many of them are right. */
async function classify(
  engine: Engine,
  model: Module,
  { test }: CifarSplits,
  { mean, std }: VggMetadata,
  pictures: number,
): Promise<{ classes: number[]; right: number }> {
  model.eval();
  const batches = openBatches(test, { batch: EVALUATION_BATCH, normalise: { mean, std } });
  const classes: number[] = [];
  let right = 0;
  for await (const { x, shape, labels } of batches.epoch(0)) {
    const logits = await engine.noGrad(() => model.forward(engine.tensor(x, shape))).data();
    const count = logits.length / labels.length;
    labels.forEach((label, i) => {
      if (classes.length >= pictures) return;
      const first = argmax(logits.subarray(i * count, (i + 1) * count));
      classes.push(first);
      if (first === label) right++;
    });
    if (classes.length >= pictures) break;
  }
  await batches.close();
  return { classes, right };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      weights: { type: "string" },
      epochs: { type: "string", default: "8" },
      width: { type: "string", default: "0.25" },
      classifier: { type: "string", default: "256,256" },
      batch: { type: "string", default: "64" },
      pictures: { type: "string", default: "1000" },
      threads: { type: "string", default: `${availableParallelism()}` },
      tier: { type: "string", default: "plain" },
      data: { type: "string" },
      save: { type: "string" },
    },
  });
  const width = Number(values.width);
  if (!(width > 0)) throw new Error(`--width must be a number above 0 (--width ${values.width}).`);
  const [epochs] = wholeNumbers("--epochs", values.epochs);
  const [batch] = wholeNumbers("--batch", values.batch);
  const [pictures] = wholeNumbers("--pictures", values.pictures);
  const [threads] = wholeNumbers("--threads", values.threads);
  const classifier = wholeNumbers("--classifier", values.classifier);
  const data = await openCifar(values.data);
  if (data === null) return;
  const engine = await createEngine({ threads, tier: chosen("tier", values.tier, TIERS) });
  const { model, metadata }: Trained = values.weights
    ? await loadModel(values.weights, engine)
    : await trainNet(engine, data, { width, epochs, batch, seed: 1 }, classifier);
  if (values.save) await saveModel(values.save, model, metadata);

  const plain = await encodeModel(model, metadata);
  const { model: float32 } = await decodeModel(plain, engine);
  const expected = await classify(engine, float32, data, metadata, pictures);
  const count = expected.classes.length;
  console.log(
    `A, width ${metadata.width}, hidden layers ${metadata.classifier.join()}, ${count} test pictures, tier ${engine.tier}`,
  );
  console.log(`float32  ${plain.length} bytes  ${percent(expected.right / count)} right`);
  for (const weights of ["float16", "int8"] as const) {
    const bytes = await encodeModel(model, metadata, { weights });
    const { model: kept } = await loadNet(parseSafetensors(bytes), engine, { linearWeights: weights });
    const found = await classify(engine, kept, data, metadata, pictures);
    const same = found.classes.filter((first, i) => first === expected.classes[i]).length;
    const met = same / count >= BARS[weights];
    console.log(
      `${weights.padEnd(8)} ${bytes.length} bytes  ${percent(found.right / count)} right, ${same} of ${count} as float32 says ` +
        `(at least ${percent(BARS[weights])}): ${met ? "met" : "MISSED"}`,
    );
    if (!met) process.exitCode = 1;
  }
  await engine.close();
});
