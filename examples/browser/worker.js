// The engine's side of the page, in a Web Worker: trains, tests, classifies. Nothing here waits for the page, and the page never
// waits for this.
import {
  createEngine,
  decodePicture,
  evaluate,
  fitPicture,
  netTotals,
  oneCycle,
  pixelStatistics,
  SHAPE_NAMES,
  shapes,
  topPredictions,
  train,
  vgg,
  vggLayers,
} from "../../dist/browser.js";

/**
 * What the page says.
 * @typedef {{ kind: "train", backend: "auto" | "wasm" | "webgpu", threads: number | null, width: number, pictures: number, epochs: number }
 *   | { kind: "stop" }
 *   | { kind: "classify", name: string, file: Blob }} ToWorker
 */

/**
 * What it hears: `begun`, then `step` and `epoch` many times, then one of `tested`, `stopped`, `failed`; after that, `predicted` or `failed` for each picture.
 * @typedef {{ kind: "begun", engine: string, parameters: number, pictures: number, steps: number }
 *   | { kind: "note", text: string }
 *   | { kind: "step", step: number, loss: number, accuracy: number, picturesPerSecond: number }
 *   | { kind: "epoch", epoch: number, step: number, accuracy: number }
 *   | { kind: "tested", accuracy: number, pictures: number, seconds: number, picturesPerSecond: number }
 *   | { kind: "stopped" }
 *   | { kind: "predicted", name: string, predictions: { label: string, probability: number }[] }
 *   | { kind: "failed", what: "training" | "classifying", text: string }} FromWorker
 */

const SIZE = 32;
const BATCH = 64;
/** Smaller steps for small sets: it is their number that teaches. */
const SMALL_BATCH = 32;
const SMALL_SET = 4000;
const LEARNING_RATE = 0.03;

/** @param {FromWorker} message */
const tell = (message) => postMessage(message);

/** The net that is there to classify, and how its pictures are prepared. */
let trained = null;
let stopping = new AbortController();

addEventListener("message", async (/** @type {MessageEvent<ToWorker>} */ { data }) => {
  if (data.kind === "stop") stopping.abort();
  else if (data.kind === "train") await told("training", () => run(data));
  else await told("classifying", () => classify(data));
});

/** Runs, and tells the page what went wrong. */
async function told(what, job) {
  try {
    await job();
  } catch (error) {
    if (what === "training" && stopping.signal.aborted) tell({ kind: "stopped" });
    else tell({ kind: "failed", what, text: error instanceof Error ? error.message : String(error) });
  }
}

async function run({ backend, threads, width, pictures, epochs }) {
  stopping = new AbortController();
  const { signal } = stopping;
  await trained?.engine.close();
  trained = null;

  const net = { width, inputSize: SIZE, classes: SHAPE_NAMES.length, classifier: [] };
  const batch = pictures < SMALL_SET ? SMALL_BATCH : BATCH;
  // Automatic: WebGPU where there is a GPU and a step is work enough for it. Backward takes twice the multiplications of forward.
  const macs = 3 * batch * netTotals(vggLayers("A", net)).macs;
  const engine = await createEngine({ backend, macs, ...(threads !== null && { threads }) });
  const data = shapes({ count: pictures });
  const model = vgg("A", net, engine);
  const normalise = pixelStatistics(data.train);
  trained = { engine, model, normalise };

  const steps = Math.ceil(data.train.labels.length / batch) * epochs;
  const parameters = model.parameters().reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
  tell({ kind: "begun", engine: describe(engine), parameters, pictures: data.train.labels.length, steps });

  const begin = performance.now();
  let seen = 0;
  const recipe = { epochs, batch, lr: LEARNING_RATE, schedule: oneCycle(), augment: { flip: true }, normalise, signal };
  for await (const record of train(model, data, recipe)) {
    if (record.kind === "event") tell({ kind: "note", text: record.text });
    if (record.kind === "epoch") {
      seen += data.train.labels.length;
      tell({ kind: "epoch", epoch: record.epoch, step: record.step, accuracy: record.valTop1 });
    }
    if (record.kind === "step") {
      const { step, loss, accuracy, imagesPerSecond } = record;
      tell({ kind: "step", step, loss, accuracy, picturesPerSecond: imagesPerSecond });
    }
  }
  const seconds = (performance.now() - begin) / 1000;
  const { top1 } = await evaluate(model, data.test, { batch, normalise, signal });
  const test = { accuracy: top1, pictures: data.test.labels.length };
  tell({ kind: "tested", ...test, seconds, picturesPerSecond: seen / seconds });
}

async function classify({ name, file }) {
  if (trained === null) throw new Error("There is no net yet: train one first.");
  const { engine, model, normalise } = trained;
  const picture = await decodePicture(new Uint8Array(await file.arrayBuffer()), name);
  const pixels = Float32Array.from(fitPicture(picture, SIZE), (pixel, i) => {
    const channel = Math.floor(i / (SIZE * SIZE));
    return (pixel - normalise.mean[channel]) / normalise.std[channel];
  });
  model.eval();
  const scores = await model.forward(engine.tensor(pixels, [1, 3, SIZE, SIZE])).data();
  const predictions = topPredictions(scores, SHAPE_NAMES, 5);
  tell({ kind: "predicted", name, predictions: predictions.map(({ label, probability }) => ({ label, probability })) });
}

/** What the engine is, in words. */
function describe({ backend, threads, tier }) {
  if (backend.name === "webgpu") return `WebGPU on ${backend.adapter.name}`;
  return `WebAssembly (${tier}), ${threads === 1 ? "1 thread" : `${threads} threads`}`;
}
