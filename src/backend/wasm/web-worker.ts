/**
 * A Web Worker of the pool (web-pool.ts): makes its own instance of the kernels on the shared memory once, then walks one program
 * per message. It knows no kernel and no tensor; what it does with them is program-table.ts. worker.ts is the same for Node.
 */
import type { WorkerSetup } from "./executor.js";
import { instantiate } from "./instantiate.js";
import { type Kernel, walk } from "./program-table.js";
import type { FromWorker, ToWorker } from "./web-pool.js";

let ready: { readonly memory: WorkerSetup["memory"]; readonly kernels: readonly Kernel[] } | null = null;

async function follow(message: ToWorker): Promise<void> {
  if ("setup" in message) {
    await holdForLife(message.lock);
    ready = { memory: message.setup.memory, kernels: await instantiate(message.setup) };
  } else if (ready !== null) walk(ready.memory, ready.kernels, message.task);
}

/** Takes a lock that ends with this worker. */
function holdForLife(lock: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const hold = (): Promise<never> => {
      resolve();
      return new Promise(() => {});
    };
    navigator.locks.request(lock, hold).catch(reject);
  });
}

addEventListener("message", async ({ data }: MessageEvent<ToWorker>) => {
  const answer: FromWorker = await follow(data).then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  postMessage(answer);
});
