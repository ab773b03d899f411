/** Finds, compiles and instantiates the kernels: the only file that knows where the .wasm files are. */
import { BackendError } from "../../core/errors.js";
import { instantiateSync } from "../../vendor/loader.js";
import type { Tier } from "../backend.js";
import type { WorkerSetup } from "./executor.js";
import type { WasmHost } from "./host.js";
import type { Kernel } from "./program-table.js";
import { withSharedMemory } from "./shared-import.js";

/** Compiles a tier's kernels for shared or for plain memory: two builds of one source, and one bit of difference. */
export async function compileKernels(tier: Tier, shared: boolean, host: WasmHost): Promise<WebAssembly.Module> {
  // Bundlers look for exactly this expression, with a literal, and copy the file that it names.
  const url =
    tier === "plain"
      ? new URL("../../wasm/kernels.wasm", import.meta.url)
      : new URL("../../wasm/kernels-relaxed.wasm", import.meta.url);
  try {
    const bytes = await host.readKernels(url);
    const linked = shared ? withSharedMemory(bytes) : bytes;
    return await WebAssembly.compile(tier === "turbo" ? withName(linked, tier) : linked);
  } catch (error) {
    throw new BackendError(
      `wasm: the kernels cannot be loaded (${String(error)}). They need WebAssembly SIMD; in a clone, run npm install first.`,
    );
  }
}

/**
 * The same module with a custom section. V8 shares the code of modules with equal bytes: that of a relaxed engine, compiled before
 * the flag of wide vectors was set, must not be taken for turbo's.
 */
function withName(bytes: Uint8Array<ArrayBuffer>, name: string): Uint8Array<ArrayBuffer> {
  const text = [...name].map((letter) => letter.charCodeAt(0));
  return Uint8Array.from([...bytes, CUSTOM_SECTION, text.length + 1, text.length, ...text]);
}

const CUSTOM_SECTION = 0;

/** An instance on the memory; its kernels in the order of `kernelNames`. */
export async function instantiate(setup: WorkerSetup): Promise<readonly Kernel[]> {
  const { module, memory, kernelNames, wide } = setup;
  const env = { memory, wide: wide ? 1 : 0 };
  const { exports } = instantiateSync<Record<string, Kernel>>(module, { env });
  return kernelNames.map((name) => exports[name]);
}

/** All kernels of the module; their index is what program tables hold. */
export function kernelNamesOf(module: WebAssembly.Module): string[] {
  return WebAssembly.Module.exports(module)
    .filter((entry) => entry.kind === "function")
    .map((entry) => entry.name);
}
