/** What a launch is, how a kernel call becomes launches, and what the files of this folder share. */

import { BackendError } from "../../../core/errors.js";
import type { Derived, KernelName, ShapeOf, TensorsOf } from "../../backend.js";
import type { ArgumentFields } from "../arguments.js";
import type { ConvAlgorithmOption } from "../conv-plan.js";

/** One export to run over all its grains. */
export interface Launch {
  readonly kernel: string;
  readonly fields: ArgumentFields;
  readonly values: Readonly<Record<string, number>>;
  readonly grains: number;
  /** Memory that each worker needs for itself. */
  readonly workerBytes: number;
}

/** The tensors of a call as addresses; 0 or null stands for a missing optional one. */
export type Addresses<K extends KernelName> = TensorsOf<K, number>;

/** Choices that an engine makes once. */
export interface LoweringOptions {
  readonly convAlgorithm: ConvAlgorithmOption;
  /** How many share the grains; changes how they are cut, never the bits. */
  readonly threads: number;
}

/** A call's derived value: its address, whether there is room for all of it, and whether it is there already. */
export interface DerivedAddress {
  readonly address: number;
  readonly kept: boolean;
  readonly fresh: boolean;
}

/** How one kernel call is done. */
export interface Lowering<K extends KernelName> {
  /** Memory that all workers share for the length of the call. */
  scratchBytes(s: ShapeOf<K>, options: LoweringOptions): number;
  /** What is made of the weight alone, by a launch that is left out where it is fresh. */
  derived?(s: ShapeOf<K>, options: LoweringOptions): Derived | null;
  launches(
    s: ShapeOf<K>,
    t: Addresses<K>,
    callScratch: number,
    derived: DerivedAddress | null,
    options: LoweringOptions,
  ): Launch[];
  /** A word for profiles, where there are several ways to compute the same. */
  algorithm?(s: ShapeOf<K>, options: LoweringOptions): string;
}

/** The lowerings of a family of kernels. */
export type Lowerings = { readonly [K in KernelName]?: Lowering<K> };

/** The derived value of a call whose lowering says that it has one. */
export function needDerived(derived: DerivedAddress | null): DerivedAddress {
  if (derived === null)
    throw new BackendError("wasm: a plan has no place for a call's transformed weight. Report this.");
  return derived;
}

export const NONE = (): number => 0;

export type Values<F extends ArgumentFields> = { readonly [N in keyof F]?: number | null };

/** A launch with its values in field order; what is missing is 0. */
export function launch<F extends ArgumentFields>(
  kernel: string,
  fields: F,
  values: Values<F>,
  grains: number,
  workerBytes = 0,
): Launch {
  const all: Record<string, number> = {};
  for (const name of Object.keys(fields)) all[name] = values[name] ?? 0;
  return { kernel, fields, values: all, grains, workerBytes };
}
