/** Node, Deno and Bun as hosts of an engine: kernels from files, a piscina pool, V8's flags, and how many threads there should be. */
import type { Machine } from "./backend/wasm/host.js";
import { PoolExecutor } from "./backend/wasm/pool.js";
import { collectGarbage } from "./collect.js";
import { availableThreads } from "./cpu-quota.js";
import { type Host, MAX_THREADS } from "./create-engine.js";
import { recallNote, rememberNote } from "./notes.js";

/** Deno and Bun say that they are some Node too, but their V8 (or none) is their own business. */
const IS_NODE = process.versions.bun === undefined && process.versions.deno === undefined;

export const NODE: Host = {
  async readKernels(url) {
    const { readFile } = await import("node:fs/promises");
    return new Uint8Array(await readFile(url));
  },
  v8: IS_NODE
    ? {
        async setFlag(flag) {
          const { setFlagsFromString } = await import("node:v8");
          setFlagsFromString(flag);
        },
        machine,
      }
    : null,
  createPool: (threads, setup) => new PoolExecutor(threads, setup),
  sharedMemoryRemedy: "Use one thread.",
  async defaultThreads() {
    return typeof SharedArrayBuffer === "undefined" ? 1 : Math.min(MAX_THREADS, await availableThreads());
  },
  collectGarbage,
  findGpu,
  preferredBackend: () => process.env.VERYDEEP_BACKEND || undefined,
  recall: recallNote,
  remember: rememberNote,
};

/** One for the process: its devices are gone when it is collected. */
let entry: Promise<{ readonly gpu: object } | { readonly reason: string }> | null = null;

/** Deno has WebGPU; in Node the package `webgpu` brings it, which nobody has to install. */
function findGpu(): Promise<{ readonly gpu: object } | { readonly reason: string }> {
  entry ??= openGpu();
  return entry;
}

async function openGpu(): Promise<{ readonly gpu: object } | { readonly reason: string }> {
  if (typeof navigator === "object" && "gpu" in navigator && navigator.gpu) return { gpu: navigator.gpu };
  // Bundlers and the compiler are not to look for it.
  const name = "webgpu";
  const module: unknown = await import(name).catch(() => null);
  if (module === null) return { reason: "the package webgpu is not installed" };
  if (typeof module === "object" && "create" in module && typeof module.create === "function") {
    const gpu: unknown = module.create([]);
    if (typeof gpu === "object" && gpu !== null) return { gpu };
  }
  return { reason: "the package webgpu has another form than expected" };
}

async function machine(): Promise<Machine> {
  const { readFile } = await import("node:fs/promises");
  // There is such a file on Linux alone.
  const text = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  return { nodeMajor: Number.parseInt(process.versions.node, 10), arch: process.arch, cpuFlags: cpuFlagsOf(text) };
}

/** Features of the first processor in /proc/cpuinfo; null where it names none. */
export function cpuFlagsOf(text: string): ReadonlySet<string> | null {
  const flags = /^flags\s*:(.*)$/m.exec(text)?.[1];
  return flags === undefined ? null : new Set(flags.trim().split(/\s+/));
}
