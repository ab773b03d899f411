/** Finds, compiles and instantiates the kernels: the only file that knows where the .wasm files are. */
import { BackendError } from "../../core/errors.js";
import type { Kernel } from "./program-table.js";

/** Compiles the kernels for shared or for plain memory: two builds of one source, since neither links with the other. */
export async function compileKernels(
  shared: boolean,
  read: (url: URL) => Promise<WebAssembly.Module>,
): Promise<WebAssembly.Module> {
  // Bundlers look for exactly this expression, with a literal, and copy the file that it names.
  const url = shared
    ? new URL("../../wasm/kernels-shared.wasm", import.meta.url)
    : new URL("../../wasm/kernels-plain.wasm", import.meta.url);
  try {
    return await read(url);
  } catch (error) {
    throw new BackendError(
      `wasm: the kernels cannot be loaded (${String(error)}). They need WebAssembly SIMD; in a clone, run npm install first.`,
    );
  }
}

/** An instance on the given memory; its kernels in the order of `names`. */
export async function instantiate(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  names: readonly string[],
): Promise<readonly Kernel[]> {
  const { instantiateSync } = await import("../../vendor/loader.js");
  const { exports } = instantiateSync<Record<string, Kernel>>(module, { env: { memory } });
  return names.map((name) => exports[name]);
}

/** All kernels of the module; their index is what program tables hold. */
export function kernelNamesOf(module: WebAssembly.Module): string[] {
  return WebAssembly.Module.exports(module)
    .filter((entry) => entry.kind === "function")
    .map((entry) => entry.name);
}
