/**
 * What piscina loads in a thread. It is CommonJS because piscina tries require() first, and a thread that is ended inside
 * require() of an ES module can abort Node 20 as a whole. The worker itself is worker.ts.
 */
import type { WalkTask } from "./program-table.js" with { "resolution-mode": "import" };

const worker = import("./worker.js");

async function run(task: WalkTask): Promise<void> {
  await (await worker).default(task);
}

export = run;
