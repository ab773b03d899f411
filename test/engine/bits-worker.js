// Trains a small VGG for 50 steps and prints the SHA-256 of its weights. Plain JavaScript, so that any Node runs it:
//
//   node test/engine/bits-worker.js THREADS [TIER]
import { createHash } from "node:crypto";
import { createEngine, crossEntropy, labelsTensor, Random, SGD, vgg } from "../../dist/index.js";

const STEPS = 50;
const BATCH = 7;
const CLASSES = 5;
const SIZE = 32;

/** Hash of the weights of config A-LRN, 1/32 of the channels, two hidden linear layers with dropout, odd batches. */
export async function trainedWeightsHash(threads, tier) {
  const engine = await createEngine({ threads, tier });
  const options = { classes: CLASSES, inputSize: SIZE, width: 1 / 32, classifier: [37, 19], dropout: 0.5, seed: 3 };
  const model = vgg("A-LRN", options, engine);
  const isBias = (name) => name.endsWith("bias");
  const groups = [
    { parameters: model.parameters((name) => !isBias(name)) },
    { parameters: model.parameters(isBias), lrScale: 2, weightDecay: 0 },
  ];
  const optimiser = new SGD(groups, { lr: 0.02, momentum: 0.9, weightDecay: 5e-4 });
  const random = new Random(3, "pictures");
  for (let step = 0; step < STEPS; step++) {
    if (step === 30) optimiser.lr = 0.002;
    const pixels = Float32Array.from({ length: BATCH * 3 * SIZE * SIZE }, () => 2 * random.uniform() - 1);
    const labels = Array.from({ length: BATCH }, () => random.integer(CLASSES));
    await engine.scope(() => {
      optimiser.zeroGrad();
      const logits = model.forward(engine.tensor(pixels, [BATCH, 3, SIZE, SIZE]));
      crossEntropy(logits, labelsTensor(engine, labels, CLASSES)).backward();
      optimiser.step();
    });
  }
  const hash = createHash("sha256");
  for (const parameter of model.parameters()) hash.update(new Uint8Array((await parameter.read()).buffer));
  await engine.close();
  return hash.digest("hex");
}

const [threads, tier = "plain"] = process.argv.slice(2);
if (threads) console.log(await trainedWeightsHash(Number(threads), tier));
