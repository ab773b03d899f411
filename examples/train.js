import { createEngine, oneCycle, shapes, train, vgg } from "verydeep";

const engine = await createEngine(); // a GPU where there is one, else WebAssembly SIMD on all cores
const data = shapes({ count: 6000 }); // pictures drawn by code: nothing to download
const net = vgg("A", { width: 0.125, inputSize: 32, classes: 10, classifier: [] }, engine);
const options = { epochs: 8, batch: 64, lr: 0.03, schedule: oneCycle(), augment: { flip: true } };
for await (const { kind, epoch, ...record } of train(net, data, options)) {
  if (kind === "epoch") console.log(`epoch ${epoch}: ${(100 * record.valTop1).toFixed(1)} % of validation pictures`);
}
const picture = engine.tensor(new Float32Array(3 * 32 * 32), [1, 3, 32, 32]);
console.log(await net.eval().forward(picture).data()); // ten logits
