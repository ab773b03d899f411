/** Kernels that are still to be written. */
import { BackendError } from "../../../core/errors.js";
import type { KernelName } from "../../backend.js";
import type { Lowering } from "../dispatch.js";

export function missing<K extends KernelName>(kernel: K): Lowering<K> {
  return {
    dispatches() {
      throw new BackendError(`webgpu: ${kernel} is not there yet.`);
    },
  };
}
