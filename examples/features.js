// Feature extraction: what a trained net computes before its classifier (pool5) places alike pictures near each other.
// For each of a few new pictures it looks up the nearest of a gallery, by the cosine of the angle between features.
//
//   node examples/features.js [PICTURES]
import { fileURLToPath } from "node:url";
import { createEngine, Loader, loadModel, shapes } from "verydeep";

const WEIGHTS = fileURLToPath(new URL("../weights/shapes-vgg.safetensors", import.meta.url));
const QUERIES = 5;
const count = Number(process.argv[2] ?? 600);

const engine = await createEngine();
const { model, metadata } = await loadModel(WEIGHTS, engine);
const features = model.children().get("features"); // convolutions and pools; the classifier comes after them

// Pictures that the net has not seen, with the seed of another sequence.
const { train: gallery, test: queries } = shapes({ count, seed: 7 });

/** One vector of length 1 a picture. */
async function extract(dataset) {
  const vectors = [];
  for await (const { x, shape } of new Loader(dataset, { batch: 50, normalise: metadata }).epoch(0)) {
    // Without gradients nothing but the result has to be remembered.
    const pool5 = engine.noGrad(() => features.forward(engine.tensor(x, shape)));
    const values = await pool5.data();
    const size = values.length / shape[0];
    for (let i = 0; i < shape[0]; i++) {
      const vector = values.subarray(i * size, (i + 1) * size);
      const length = Math.sqrt(dot(vector, vector)) || 1;
      vectors.push(vector.map((value) => value / length));
    }
  }
  return vectors;
}

function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

const known = await extract(gallery);
const asked = await extract(queries);
console.log(`${known.length} pictures in the gallery, ${known[0].length} features each`);

let right = 0;
asked.forEach((vector, query) => {
  const cosines = known.map((other) => dot(vector, other));
  const nearest = cosines.indexOf(Math.max(...cosines));
  const [is, found] = [queries.labels[query], gallery.labels[nearest]].map((label) => gallery.classNames[label]);
  if (is === found) right++;
  if (query < QUERIES) console.log(`a ${is} is nearest to a ${found} (cosine ${cosines[nearest].toFixed(3)})`);
});
console.log(`nearest neighbour of the same class: ${((100 * right) / asked.length).toFixed(1)} %`);
