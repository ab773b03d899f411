// Trains a tiny VGG on shapes for a few steps and returns what a browser and Node must have in common. Plain JavaScript that is
// given the library, so that a page, a Web Worker and Node run the same.

export async function trainTiny({ createEngine, oneCycle, shapes, train, vgg }, tier = "plain", threads = 1) {
  const engine = await createEngine({ threads, tier });
  const data = shapes({ count: 300 });
  const options = { width: 1 / 32, inputSize: 32, classes: 10, classifier: [16], dropout: 0.5 };
  const model = vgg("A-LRN", options, engine);
  const losses = [];
  const recipe = { epochs: 1, batch: 40, lr: 0.03, schedule: oneCycle(), augment: { flip: true, cropPadding: 2 } };
  for await (const record of train(model, data, recipe)) if (record.kind === "step") losses.push(record.loss);
  const result = { tier: engine.tier, losses, weights: await hashOf(model) };
  await engine.close();
  return result;
}

/** The class that the package's net sees in a picture, and a hash of the picture's pixels. */
export async function classify({ createEngine, decodeModel, decodePicture, fitPicture }, weights, picture) {
  const engine = await createEngine();
  const { model, metadata } = await decodeModel(weights, engine);
  const decoded = await decodePicture(picture);
  const size = metadata.inputSize;
  const pixels = Float32Array.from(fitPicture(decoded, size), (pixel, i) => {
    const channel = Math.floor(i / (size * size));
    return (pixel - metadata.mean[channel]) / metadata.std[channel];
  });
  const logits = await model.forward(engine.tensor(pixels, [1, 3, size, size])).data();
  return { label: metadata.classes[logits.indexOf(Math.max(...logits))], pixels: fnv1a(decoded.pixels) };
}

async function hashOf(model) {
  const hashes = [];
  for (const parameter of model.parameters()) hashes.push(fnv1a(new Uint8Array((await parameter.read()).buffer)));
  return hashes.join(" ");
}

/** FNV-1a, 32 bits: a page on plain http has no SHA. */
function fnv1a(bytes) {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}
