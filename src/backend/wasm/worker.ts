/**
 * A worker of the pool: makes its own instance of the kernels on the shared memory once, then walks one program per task.
 * It knows no kernel and no tensor. Started by worker-entry.cts in threads of piscina (pool.ts).
 */
import { workerData } from "node:worker_threads";
import type { WorkerSetup } from "./executor.js";
import { instantiate } from "./instantiate.js";
import { type Kernel, type WalkTask, walk } from "./program-table.js";

const setup: WorkerSetup = workerData;
const ready: Promise<readonly Kernel[]> = instantiate(setup);

export default async function run(task: WalkTask): Promise<void> {
  walk(setup.memory, await ready, task);
}
