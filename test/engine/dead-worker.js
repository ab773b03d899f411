// Ends worker threads of engines at random moments, and says what became of it: one JSON line a case.
//
//   node test/engine/dead-worker.js FIRST_SEED CASES running|both|idle|start
//
// running: one worker in the middle of training steps; both: two at once; idle: between two programs; start: while the pool
// starts, or in its first step. No test does the last: Node 20.20 itself may abort (ModuleWrap::CreateRequiredModuleFacade) when
// a thread is ended while it loads a module with require(), once in some 150 times.
import { createEngine, crossEntropy, labelsTensor, Random, SGD, vgg } from "../../dist/index.js";

const BATCH = 8;
const SIZE = 32;
const CLASSES = 5;
/** Longer than any answer may take. */
const HANG_MS = 10_000;
/** A step takes some 10 ms. */
const MOST_DELAY_MS = 60;
/** Successful steps after a death that show that nobody noticed. */
const STEPS_AFTER = 2;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function trainer(engine, seed) {
  const model = vgg("A", { classes: CLASSES, inputSize: SIZE, width: 1 / 8, classifier: [], seed }, engine);
  const optimiser = new SGD(model.parameters(), { lr: 0.001, momentum: 0.9 });
  const pixels = new Float32Array(BATCH * 3 * SIZE * SIZE).fill(0.1);
  return () =>
    engine.scope(() => {
      optimiser.zeroGrad();
      const logits = model.forward(engine.tensor(pixels, [BATCH, 3, SIZE, SIZE]));
      const loss = crossEntropy(logits, labelsTensor(engine, new Int32Array(BATCH), CLASSES));
      loss.backward();
      optimiser.step();
      return loss;
    });
}

/** How a promise ends: its error, "none", or "hang". */
async function outcome(promise) {
  const limit = new AbortController();
  const hang = new Promise((resolve) => {
    const timer = setTimeout(() => resolve({ name: "hang", message: "" }), HANG_MS);
    limit.signal.addEventListener("abort", () => clearTimeout(timer));
  });
  const ended = promise.then(
    () => ({ name: "none", message: "" }),
    (error) => ({ name: error.name, message: error.message }),
  );
  const result = await Promise.race([ended, hang]);
  limit.abort();
  return result;
}

async function oneCase(seed, kind) {
  const random = new Random(seed, "dead-worker");
  const threads = kind === "both" ? 3 : 2;
  const engine = await createEngine({ threads });
  const step = trainer(engine, seed);
  if (kind !== "start") await step();
  const workers = await engine.backend.executor.workers();
  const first = random.integer(threads);
  const victims = [first, ...(kind === "both" ? [(first + 1) % threads] : [])].map((index) => workers[index]);

  let killedAt = Number.POSITIVE_INFINITY;
  const kill = () => {
    killedAt = performance.now();
    for (const victim of victims) victim.terminate();
  };
  // Between two programs a worker has no task: then the pool replaces it, and training goes on.
  const trainOn = async () => {
    for (let after = 0; after < STEPS_AFTER; ) {
      await step();
      if (performance.now() > killedAt) after++;
    }
  };
  let error;
  if (kind === "idle") {
    const killing = Promise.all(victims.map((victim) => victim.terminate()));
    if (random.integer(2) === 0) await killing;
    else await sleep(random.integer(30));
    killedAt = performance.now();
    error = await outcome(step());
  } else {
    setTimeout(kill, random.uniform() * MOST_DELAY_MS);
    error = await outcome(kind === "start" ? step() : trainOn());
  }
  // Below 0: the step was over before the worker died.
  const latencyMs = performance.now() - killedAt;
  if (latencyMs < 0) await sleep(MOST_DELAY_MS);
  // Later calls repeat the error; where the next program simply worked, they work.
  const later = [
    await outcome(step()),
    await outcome(step()),
    await outcome(engine.scope(() => engine.tensor([1], [1]))),
  ];
  await engine.close();
  return { seed, kind, error, latencyMs, later: later.map(({ name }) => name) };
}

const [firstSeed, cases] = process.argv.slice(2, 4).map(Number);
for (let i = 0; i < cases; i++) console.log(JSON.stringify(await oneCase(firstSeed + i, process.argv[4])));

// A new engine works.
const engine = await createEngine({ threads: 2 });
const loss = await trainer(engine, 1)();
console.log(JSON.stringify({ newEngine: Number.isFinite(await loss.item()) }));
// No close(): the process ends by itself.
