/** What `engine.profile()` tells of each kernel call of a program: what it was, what it cost, how long it took. */
import type { CallTiming, KernelName } from "../backend/backend.js";
import { bytesOf, flopsOf } from "./cost.js";
import type { Phase, RecordedCall } from "./program.js";
import { formatShape } from "./shape.js";
import { Parameter } from "./tensor.js";

/** A part of a call that the backend ran in one go, such as `winogradTransformWeight`. */
export interface ProfiledLaunch {
  readonly kernel: string;
  /** Milliseconds since the program's first call began. */
  readonly beginMs: number;
  readonly ms: number;
}

/** One kernel call of a program that ran. */
export interface ProfiledCall {
  /** The operation: `conv2d`; `conv2d + relu` where the kernel does the next one's work too (fuse.ts). */
  readonly op: string;
  /** Path of the module, as in state dictionaries: `features.3`; of an update, that of the parameter's module; else empty. */
  readonly module: string;
  readonly phase: Phase;
  /** The kernel of the contract: `conv2dBackwardWeight`. */
  readonly kernel: KernelName;
  /** What the backend chose among several ways to compute the same: `im2col`, `winograd4`; empty where there is one way. */
  readonly algorithm: string;
  /** Its tensors by role: `x=[1,3,224,224] weight=[64,3,3,3] y=[1,64,224,224]`. */
  readonly shape: string;
  /** Two for each multiply-accumulate of the direct method, whatever the algorithm; 0 for kernels without any. */
  readonly flops: number;
  /** Every tensor that it reads once, and every one that it writes once. */
  readonly bytes: number;
  /** Milliseconds since the program's first call began. */
  readonly beginMs: number;
  readonly ms: number;
  /** What the backend ran for it, in order. */
  readonly launches: readonly ProfiledLaunch[];
}

/** What `engine.profile()` gives. */
export interface Profile<T> {
  /** What the recorded function returned. */
  readonly result: T;
  /** In the order in which they ran. */
  readonly calls: readonly ProfiledCall[];
}

/** The calls of a program with their times. */
export function profiledCalls(calls: readonly RecordedCall[], timings: readonly CallTiming[]): ProfiledCall[] {
  return timings.map(({ algorithm, beginMs, endMs, launches }, i) => {
    const { op, phase, kernel, shape, tensors } = calls[i];
    return {
      op,
      module: moduleOf(calls[i]),
      phase,
      kernel,
      algorithm,
      shape: shapeText(tensors),
      flops: flopsOf(kernel, shape),
      bytes: bytesOf({ kernel, shape, tensors }),
      beginMs,
      ms: endMs - beginMs,
      launches: launches.map((launch) => ({
        kernel: launch.kernel,
        beginMs: launch.beginMs,
        ms: launch.endMs - launch.beginMs,
      })),
    };
  });
}

/** An update is recorded outside of all modules: there the parameter's name tells. */
function moduleOf({ module, tensors }: RecordedCall): string {
  const { param } = tensors;
  return module === "" && param instanceof Parameter ? param.name.replace(/\.?[^.]*$/, "") : module;
}

function shapeText(tensors: RecordedCall["tensors"]): string {
  return Object.entries(tensors)
    .flatMap(([role, tensor]) => (tensor === null ? [] : [`${role}=${formatShape(tensor.shape)}`]))
    .join(" ");
}
