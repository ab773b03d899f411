/** Element by element. Tensors that lie in several pieces take a dispatch for each. Activations with a curve: activation.ts. */
import type { KernelName, Place, ShapeOf } from "../../backend.js";
import {
  type CallContext,
  type Dispatch,
  type Float,
  float,
  grid,
  type Lowering,
  type Lowerings,
  pieces,
  whole,
} from "../dispatch.js";
import source from "./elementwise.wgsl.js";

/** Threads of a workgroup, and elements of a thread. */
const THREADS = 64;
const VECTOR = 4;

type Elementwise = "reluForward" | "reluBackward" | "add" | "mul" | "scale" | "expand" | "fill";

/** A kernel whose tensors, but for scalars, are all as long as its output. `scalars` names tensors of one element. */
function elementwise<K extends Elementwise>(
  kernel: K,
  output: string,
  uniforms: (s: ShapeOf<K>) => Readonly<Record<string, Float>> = () => ({}),
  scalars: readonly string[] = [],
): Lowering<K> {
  return {
    dispatches: (s, t, c) =>
      dispatchPieces(
        kernel,
        source,
        Object.fromEntries(Object.entries<Place | null>(t)),
        { output, scalars, uniforms: uniforms(s) },
        c,
      ),
  };
}

/** What {@link dispatchPieces} cannot see from the tensors. */
export interface ElementwiseCall {
  /** The role that is written. */
  readonly output: string;
  /** Roles of one element. */
  readonly scalars?: readonly string[];
  readonly uniforms?: Readonly<Record<string, number | Float>>;
}

/**
 * A dispatch for each piece of an element-wise kernel's tensors. The source computes element i, a vec4<f32> of each tensor, where i is below
 * VECTORS, in workgroups of 64 threads; the kernel's name is a constant that holds.
 */
export function dispatchPieces(
  kernel: KernelName,
  source: string,
  tensors: Readonly<Record<string, Place | null>>,
  { output, scalars = [], uniforms = {} }: ElementwiseCall,
  c: CallContext,
): Dispatch[] {
  const windows = Object.entries(tensors).map(([role, place]) => {
    if (place === null) return { role, cuts: [] };
    return { role, cuts: scalars.includes(role) ? [whole(place)] : pieces(place, c) };
  });
  const cuts = windows.find(({ role }) => role === output)?.cuts ?? [];
  return cuts.map(({ length }, i) => {
    const vectors = Math.ceil(length / VECTOR);
    return {
      name: kernel,
      source,
      constants: { [kernel]: true, VECTORS: vectors },
      tensors: Object.fromEntries(
        windows.map(({ role, cuts }) => {
          const window = cuts[scalars.includes(role) ? 0 : i];
          return [role, window === undefined ? null : { ...window, element: "vec4<f32>" }];
        }),
      ),
      writes: [output],
      uniforms,
      workgroups: grid(Math.ceil(vectors / THREADS), c),
    };
  });
}

const factor = (s: { readonly factor: number }): Readonly<Record<string, Float>> => ({ factor: float(s.factor) });

export const ELEMENTWISE_LOWERINGS = {
  reluForward: elementwise("reluForward", "y"),
  reluBackward: elementwise("reluBackward", "dx"),
  add: elementwise("add", "y"),
  mul: elementwise("mul", "y"),
  scale: elementwise("scale", "y", factor),
  expand: elementwise("expand", "y", factor, ["x"]),
  fill: elementwise("fill", "y", factor),
} satisfies Lowerings;
