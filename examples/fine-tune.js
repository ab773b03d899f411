// Fine-tuning: a net that knows ten shapes learns a new question, "round or straight?", from few pictures.
// Its features stay as they are (frozen); only a new classifier is trained on them.
//
//   node examples/fine-tune.js [PICTURES]
import { fileURLToPath } from "node:url";
import {
  arrayDataset,
  createEngine,
  crossEntropy,
  evaluate,
  Loader,
  labelsTensor,
  loadModel,
  SGD,
  shapes,
  vgg,
} from "verydeep";

const WEIGHTS = fileURLToPath(new URL("../weights/shapes-vgg.safetensors", import.meta.url));
const ROUND = ["disc", "ring", "crescent", "heart"];
const EPOCHS = 10;
const count = Number(process.argv[2] ?? 600);

const engine = await createEngine();
const { model: trained, metadata } = await loadModel(WEIGHTS, engine);

// The same net, but for its last layer: two classes instead of ten, with new random weights.
const { config, width, inputSize, classifier } = metadata;
const net = vgg(config, { width, inputSize, classifier, classes: 2, seed: 1 }, engine);
const features = net.children().get("features");
await features.loadStateDict(trained.children().get("features").stateDict());

// The ten classes become two. Another seed than the one the net was trained with: new pictures.
const relabel = (dataset) =>
  arrayDataset({
    ...dataset,
    classNames: ["straight", "round"],
    labels: dataset.labels.map((label) => Number(ROUND.includes(dataset.classNames[label]))),
  });
const splits = shapes({ count, seed: 7 });
const [learn, test] = [relabel(splits.train), relabel(splits.test)];
const before = await evaluate(net, test, { batch: 50, normalise: metadata });
console.log(`before: ${(100 * before.top1).toFixed(1)} % of ${test.labels.length} pictures`);

// Freezing is not asking for gradients: of the features in the forward pass, and of their update in the optimiser.
const optimiser = new SGD(net.children().get("classifier").parameters(), { lr: 0.02, momentum: 0.9 });
const loader = new Loader(learn, { batch: 50, shuffle: true, seed: 1, normalise: metadata });
net.train();
for (let epoch = 0; epoch < EPOCHS; epoch++) {
  for await (const { x, shape, labels } of loader.epoch(epoch)) {
    await engine.scope(() => {
      const seen = engine.noGrad(() => features.forward(engine.tensor(x, shape)));
      const flat = net.children().get("flatten").forward(seen);
      const logits = net.children().get("classifier").forward(flat);
      crossEntropy(logits, labelsTensor(engine, labels, 2)).backward();
      optimiser.step();
      optimiser.zeroGrad();
    });
  }
}

const after = await evaluate(net, test, { batch: 50, normalise: metadata });
console.log(`after ${EPOCHS} epochs on ${learn.labels.length} pictures: ${(100 * after.top1).toFixed(1)} %`);
