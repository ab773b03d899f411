/** Linear layers: products over the whole batch. Weights that lie in several pieces take a dispatch for each. */
import { type Lowerings, optional, pieces, whole } from "../dispatch.js";
import { gemm, gemmTile } from "./gemm.js";
import forward from "./linear-forward.wgsl.js";
import { missing } from "./missing.js";

export const LINEAR_LOWERINGS = {
  linearForward: {
    dispatches({ batch, inFeatures, outFeatures, relu }, { x, weight, bias, y }, c) {
      const parts = pieces(weight, c);
      return parts.map((part, i) =>
        gemm(
          {
            name: "linearForward",
            m: batch,
            n: outFeatures,
            loads: forward,
            aAlongK: true,
            bAlongK: true,
            constants: {
              BATCH: batch,
              IN: inFeatures,
              OUT: outFeatures,
              relu,
              later: i > 0,
              last: i === parts.length - 1,
            },
            tensors: { x: whole(x), weight: part, bias: optional(bias), y: whole(y) },
            writes: ["y"],
            uniforms: { begin: part.begin, end: part.begin + part.length },
            tile: gemmTile(batch, outFeatures),
          },
          c,
        ),
      );
    },
  },
  linearBackwardInput: missing("linearBackwardInput"),
  linearBackwardWeight: missing("linearBackwardWeight"),
  linearUpdateWeight: missing("linearUpdateWeight"),
  linearBackwardBias: missing("linearBackwardBias"),
} satisfies Lowerings;
