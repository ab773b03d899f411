/**
 * What a kernel call becomes on a GPU: dispatches, each a shader on windows of tensors. Plain data, made by the lowerings in kernels/;
 * shader.ts writes the WGSL, memory.ts finds the windows' buffers, webgpu-backend.ts runs it.
 */
import type { DataType, Derived, KernelName, Place, ShapeOf, TensorsOf } from "../backend.js";

/** A range of a tensor's elements. `begin` is a multiple of {@link WINDOW_UNIT}. */
export interface Window {
  readonly place: Place;
  readonly begin: number;
  readonly length: number;
  /** What the shader sees an element as, where that is not the tensor's own type: `vec4<f32>`. */
  readonly element?: string;
}

/** Windows begin on multiples of 256 bytes, the coarsest alignment that WebGPU asks for, in elements of 4, 2 or 1 bytes. */
export const WINDOW_UNIT = 256;

/** A number that the shader has as f32; plain numbers are u32, negative ones i32. */
export interface Float {
  readonly f32: number;
}

export function float(value: number): Float {
  return { f32: value };
}

export interface Dispatch {
  /** For profiles and errors: `conv2dImplicitGemm`. */
  readonly name: string;
  /**
   * WGSL with an entry point `main`, without declarations of tensors, uniforms and constants: these are written in front of it. Its lines
   * `#if name`, `#if !name`, `#else`, `#endif` keep a part where a constant of that name is true, or a tensor of that name is there;
   * `#for i COUNT`, `#end` write theirs COUNT times, a constant or a number, with 0, 1, … for `{i}`: loops that no compiler needs to unroll.
   */
  readonly source: string;
  /** Sizes and choices, `const name = value;`: part of the compiled pipeline. What changes from step to step goes into `uniforms`. */
  readonly constants: Readonly<Record<string, number | boolean | Float>>;
  /** By the name that the source has for it; null where there is none. */
  readonly tensors: Readonly<Record<string, Window | null>>;
  /** Names of tensors that it writes. */
  readonly writes: readonly string[];
  /** Seen by the source as `u.name`. */
  readonly uniforms: Readonly<Record<string, number | Float>>;
  /** x, y, z. The source has the first as the constant GRID_X, where it names that. */
  readonly workgroups: readonly [number, number, number];
}

/** What a device can do, as far as kernels ask. */
export interface DeviceFacts {
  /** Largest range of a buffer that a shader sees at once; tensors that are larger lie in pieces of this size. */
  readonly pieceBytes: number;
  /** Most workgroups in one direction. */
  readonly maxWorkgroups: number;
  /** Most threads in a workgroup, and memory that they share. */
  readonly maxThreads: number;
  readonly workgroupBytes: number;
  /** Are there operations among the threads of a subgroup? The source says `enable subgroups;` by the constant of this name. */
  readonly subgroups: boolean;
}

/** What lowerings know beside the shape. */
export interface LoweringContext extends DeviceFacts {
  /** Multiply in half precision, sum in float32: where the device has it and the caller asked for it. */
  readonly f16: boolean;
  /** Shaders that are compiled soon rather than run fast: on software adapters. */
  readonly compact: boolean;
  /** createEngine's convAlgorithm. */
  readonly convAlgorithm: string;
  /** Which of several ways the device is fastest by, as far as it was measured; null where it was not. */
  tuned(key: string): string | null;
}

/** What belongs to one call. */
export interface CallContext extends LoweringContext {
  /** Memory for the length of the call, where the lowering asked for some: float32. */
  readonly scratch: Place | null;
  /** The transformed weight, where the lowering has one; `fresh`: it is made already. */
  readonly derived: { readonly place: Place; readonly fresh: boolean } | null;
}

/** The tensors of a call; null stands for a missing optional one. */
export type Places<K extends KernelName> = TensorsOf<K, Place>;

/** How one kernel call is done. */
export interface Lowering<K extends KernelName> {
  /** Memory for the length of the call. */
  scratchBytes?(s: ShapeOf<K>, context: LoweringContext): number;
  /** What is made of the weight alone, by dispatches that are left out where it is fresh. */
  derived?(s: ShapeOf<K>, context: LoweringContext): Derived | null;
  dispatches(s: ShapeOf<K>, t: Places<K>, context: CallContext): Dispatch[];
  /** A word for profiles, where there are several ways to compute the same. */
  algorithm?(s: ShapeOf<K>, context: LoweringContext): string;
  /** Several ways, of which the device may measure the fastest: what `tuned` is asked for, and what it may answer. */
  candidates?(s: ShapeOf<K>, context: LoweringContext): Candidates | null;
}

export interface Candidates {
  /** Calls with the same key have the same fastest way. */
  readonly key: string;
  readonly names: readonly string[];
}

/** The lowerings of a family of kernels. */
export type Lowerings = { readonly [K in KernelName]?: Lowering<K> };

/** Bytes of an element on a GPU, which has no single bytes: winners take four. */
export const GPU_ELEMENT_BYTES: { readonly [T in DataType]: number } = {
  float32: 4,
  int32: 4,
  uint8: 4,
  float16: 2,
  int8: 1,
};

/** A tensor as a whole, which must fit into one piece: MemoryFullError otherwise, when the window is looked up. */
export function whole(place: Place): Window {
  return { place, begin: 0, length: place.length };
}

/** The same of a tensor that may be missing. */
export function optional(place: Place | null): Window | null {
  return place && whole(place);
}

/** Elements of a tensor that lie in one piece. */
export function pieceLength({ dtype }: { readonly dtype: DataType }, { pieceBytes }: DeviceFacts): number {
  return Math.floor(pieceBytes / GPU_ELEMENT_BYTES[dtype]);
}

/** A tensor piece by piece, one window for each. Tensors of equal length and type have the same cuts. */
export function pieces(place: Place, facts: DeviceFacts): Window[] {
  const size = pieceLength(place, facts);
  const windows: Window[] = [];
  for (let begin = 0; begin < place.length; begin += size) {
    windows.push({ place, begin, length: Math.min(size, place.length - begin) });
  }
  return windows;
}

/** Workgroups for `count` of them in a row, folded into two directions: number x + y · GRID_X, of which the last may be too many. */
export function grid(count: number, { maxWorkgroups }: DeviceFacts): [number, number, number] {
  if (count <= maxWorkgroups) return [count, 1, 1];
  const rows = Math.ceil(count / maxWorkgroups);
  return [Math.ceil(count / rows), rows, 1];
}
