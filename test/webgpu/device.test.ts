/** What goes wrong on a GPU becomes typed errors that name the operation, without a hang and without rejections that nobody handles. */
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackendError, MemoryFullError, UsageError } from "#src/core/errors.js";
import { mul, relu, scale, sum } from "#src/ops/index.js";
import { rejects } from "../engine/nets.js";
import { fillMemory, overflowDispatches, spoilShaders, type Tapped, tappedEngine } from "./tapped-device.js";

/** A program whose end takes so long hangs. */
const LIMIT_MS = 20_000;
const GO_ON = "create a new engine and go on from the last checkpoint, on this backend or on wasm.";

const first = await tappedEngine();
await first?.engine.close();
if (first === null) console.log("SKIPPED devices that are lost, full or refuse: WebGPU finds no adapter here");

/** A test with a device of its own. */
function deviceTest(name: string, run: (tapped: Tapped) => Promise<void>): void {
  if (first === null) {
    test.skip(name, async () => {});
    return;
  }
  test(name, async () => {
    const tapped = await tappedEngine();
    assert.ok(tapped);
    const stop = new AbortController();
    const late = sleep(LIMIT_MS, "hangs", { signal: stop.signal });
    assert.not(await Promise.race([run(tapped), late]), "hangs");
    stop.abort();
    await late.catch(() => {});
    await tapped.engine.close();
  });
}
if (first === null) console.log("SKIPPED a GPU that fails: there is no adapter");

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

deviceTest("lost between two programs: the next one says so, and every later one", async ({ engine, device }) => {
  const x = engine.tensor([1, 2], [2]);
  assert.equal([...(await scale(x, 2).data())], [2, 4]);
  device.destroy();
  await device.lost;
  for (let i = 0; i < 2; i++) {
    await rejects(
      () => scale(x, 3).data(),
      BackendError,
      new RegExp(`^webgpu: the GPU was lost \\(.*\\)\\. Its .*${GO_ON}$`),
    );
  }
});

for (const delayMs of [0, 1, 3, 10, 30, 100]) {
  deviceTest(`lost ${delayMs} ms after programs began: an error that says so`, async ({ engine, device }) => {
    const x = engine.tensor(new Float32Array(200_000).fill(1), [200_000]);
    const lost = sleep(delayMs).then(() => device.destroy());
    const steps = async (): Promise<void> => {
      for (;;) await engine.scope(() => sum(mul(scale(relu(x), 1.01), x))).then((y) => y.data());
    };
    await rejects(
      steps,
      BackendError,
      new RegExp(`^webgpu: the GPU was lost \\(.+; destroyed: .+\\)\\. Its .*${GO_ON}$`),
    );
    await lost;
  });
}

deviceTest("lost while a program is compiled", async ({ engine, device }) => {
  const { createComputePipelineAsync } = device;
  device.createComputePipelineAsync = (descriptor) => {
    device.destroy();
    return createComputePipelineAsync.call(device, descriptor);
  };
  await rejects(
    () => relu(engine.tensor([1], [1])).data(),
    BackendError,
    new RegExp(`^webgpu: the GPU was lost \\(load; destroyed: .+\\)\\. Its .*${GO_ON}$`),
  );
});

deviceTest("closed: later programs are refused", async ({ engine }) => {
  const x = engine.tensor([1, 2], [2]);
  await scale(x, 2).data();
  await engine.close();
  await rejects(() => scale(x, 3).data(), UsageError, "engine: it is closed. Create another with createEngine().");
});

deviceTest(
  "no room: MemoryFullError with the tensor's name and size; smaller programs still run",
  async ({ engine, device }) => {
    const small = engine.tensor([1, -2], [2]);
    fillMemory(device, 1 << 20);
    const large = engine.tensor(new Float32Array(1 << 20), [1 << 20]);
    await rejects(
      () => relu(large).data(),
      MemoryFullError,
      /^webgpu: the GPU's memory is full \(.+ needs \d+ MB, in use \d+ [kM]B\)\. Use a smaller batch, /,
    );
    assert.equal([...(await relu(small).data())], [1, 0]);
  },
);

deviceTest("no room for a weight: MemoryFullError with its name", async ({ engine, device }) => {
  fillMemory(device, 1 << 20);
  const weight = engine.parameter([1024, 1024], "classifier.0.weight");
  await rejects(
    () => weight.write(new Float32Array(1 << 20)),
    MemoryFullError,
    /^webgpu: the GPU's memory is full \(classifier\.0\.weight needs 5 MB, in use \d+ [kM]B\)\. Use a smaller batch, /,
  );
});

deviceTest("a refused dispatch: the error names the operation among others", async ({ engine, device }) => {
  overflowDispatches(device, "mul");
  const x = engine.tensor([1, 2, 3], [3]);
  await rejects(
    () => relu(mul(scale(x, 2), x)).data(),
    BackendError,
    new RegExp(`^webgpu: the GPU refused a program \\(mul[^:]*: .+\\)\\. Its tensors are lost: ${GO_ON}$`, "s"),
  );
});

deviceTest("a refused shader: the error names the operation and the compiler's words", async ({ engine, device }) => {
  spoilShaders(device, "mul");
  const x = engine.tensor([1, 2, 3], [3]);
  await rejects(
    () => relu(mul(scale(x, 2), x)).data(),
    BackendError,
    /^webgpu: a shader was refused \(mul.*nonsense.*\)\. Use the wasm backend, and report this\.$/s,
  );
});

test("nothing was rejected that nobody handled", async () => {
  await sleep(50);
  assert.equal(unhandled, []);
});

test.run();
