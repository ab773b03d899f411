/** Activations with a curve or two slopes. relu: elementwise.ts. */
import type { Place, ShapeOf } from "../../backend.js";
import { type Float, float, type Lowering, type Lowerings } from "../dispatch.js";
import curves from "./activation.wgsl.js";
import { dispatchPieces } from "./elementwise.js";
import math from "./math.wgsl.js";

const source = `${math}\n${curves}`;

type Activation = `${"leakyRelu" | "tanh" | "sigmoid"}${"Forward" | "Backward"}`;

function activation<K extends Activation>(
  kernel: K,
  uniforms: (s: ShapeOf<K>) => Readonly<Record<string, Float>> = () => ({}),
): Lowering<K> {
  const output = kernel.endsWith("Forward") ? "y" : "dx";
  return {
    dispatches: (s, t, c) =>
      dispatchPieces(
        kernel,
        source,
        Object.fromEntries(Object.entries<Place | null>(t)),
        { output, uniforms: uniforms(s) },
        c,
      ),
  };
}

const slope = (s: { readonly factor: number }): Readonly<Record<string, Float>> => ({ factor: float(s.factor) });

export const ACTIVATION_LOWERINGS = {
  leakyReluForward: activation("leakyReluForward", slope),
  leakyReluBackward: activation("leakyReluBackward", slope),
  tanhForward: activation("tanhForward"),
  tanhBackward: activation("tanhBackward"),
  sigmoidForward: activation("sigmoidForward"),
  sigmoidBackward: activation("sigmoidBackward"),
} satisfies Lowerings;
