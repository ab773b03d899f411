// Plain user loops, without scopes, keep() or dispose: prints tensor memory and resident memory as JSON.
//
//   node --expose-gc test/engine/memory-worker.js forward|train STEPS [THREADS]
//   node --expose-gc test/engine/memory-worker.js models COUNT
//
// Garbage is collected ten times in the whole run, before each sample (models: after each model), so that the heap's size says
// what is reachable.
import {
  createEngine,
  crossEntropy,
  Dropout,
  Linear,
  labelsTensor,
  Random,
  ReLU,
  Sequential,
  SGD,
  vgg,
} from "../../dist/index.js";

const [task, count, threads] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4] ?? 1)];
const BATCH = 4;
const engine = await createEngine({ threads, ...(task === "models" ? { memoryMaxBytes: 64 * 2 ** 20 } : {}) });

function tinyNet() {
  return new Sequential([
    new Linear(engine, { inFeatures: 8, outFeatures: 16, random: new Random(1, "0") }),
    new ReLU(),
    new Dropout(0.1, new Random(1, "2")),
    new Linear(engine, { inFeatures: 16, outFeatures: 4, random: new Random(1, "3") }),
  ]);
}

function pixels(step) {
  return Float32Array.from({ length: BATCH * 8 }, (_, i) => Math.fround(((i * 7 + step) % 11) / 11));
}

async function forward() {
  const model = tinyNet().eval();
  return async (step) => {
    const y = await model.forward(engine.tensor(pixels(step), [BATCH, 8])).data();
    if (!Number.isFinite(y[0])) throw new Error("the output is not finite");
  };
}

async function train() {
  const model = tinyNet();
  const optimiser = new SGD(model.parameters(), { lr: 0.01, momentum: 0.9 });
  return async (step) => {
    const x = engine.tensor(pixels(step), [BATCH, 8]);
    const loss = crossEntropy(model.forward(x), labelsTensor(engine, [0, 1, 2, 3], 4));
    if (step % 100 === 0 && !Number.isFinite(await loss.item())) throw new Error("the loss is not finite");
    optimiser.zeroGrad();
    loss.backward();
    optimiser.step();
  };
}

/** Each model with its gradients, momentum and a step of training: 8 of them would fill the memory. */
async function models() {
  return async (seed) => {
    const model = vgg("A", { classes: 10, inputSize: 32, width: 1 / 4, classifier: [], seed }, engine);
    const optimiser = new SGD(model.parameters(), { lr: 0.001, momentum: 0.9 });
    await engine.scope(() => {
      const x = engine.tensor(new Float32Array(3 * 32 * 32), [1, 3, 32, 32]);
      crossEntropy(model.forward(x), labelsTensor(engine, [1], 10)).backward();
      optimiser.step();
    });
    if (globalThis.gc) globalThis.gc();
    // Finalizers run in a turn of their own.
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
}

const step = await { forward, train, models }[task]();
const start = performance.now();
const samples = [];
for (let i = 1; i <= count; i++) {
  await step(i);
  if (i % (count / 10) === 0) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 0));
    const { rss, heapUsed } = process.memoryUsage();
    samples.push({ step: i, usedBytes: engine.memory().usedBytes, rssBytes: rss, heapBytes: heapUsed });
  }
}
console.log(JSON.stringify({ task, count, seconds: (performance.now() - start) / 1000, samples }));
