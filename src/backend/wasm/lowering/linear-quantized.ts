/** Linear layers whose weights are kept as halves or int8. */
import type { QuantizedLinearShape } from "../../backend.js";
import { LINEAR_ARGUMENTS, QUANTIZED_LINEAR_ARGUMENTS } from "../arguments.js";
import { cutLinearRows, KC } from "../conv-plan.js";
import { type Launch, type Lowerings, launch, type Values } from "./launch.js";

/** Rows that assembly/linear-f16.ts turns into floats at a time. */
const F16_ROWS = 4;

function quantizedLaunch(
  kernel: string,
  s: QuantizedLinearShape,
  values: Values<typeof QUANTIZED_LINEAR_ARGUMENTS>,
  grains: number,
  workerBytes = 0,
): Launch {
  const { batch, inFeatures, outFeatures } = s;
  const sizes = { batch, inFeatures, outFeatures };
  return launch(kernel, QUANTIZED_LINEAR_ARGUMENTS, { ...sizes, ...values }, grains, workerBytes);
}

/** As in assembly/linear-quantized.ts: a factor for each image. */
function factorBytes({ batch }: QuantizedLinearShape): number {
  return Math.ceil(batch / 16) * 64;
}

function paddedBatchBytes({ batch }: QuantizedLinearShape): number {
  return Math.ceil(batch / 8) * 32;
}

export const QUANTIZED_LINEAR_LOWERINGS = {
  linearQuantizedForward: {
    algorithm: (s) => (s.weightType === "int8" ? "int8" : s.batch === 1 ? "vectorF16" : "gemmF16"),

    scratchBytes(s) {
      if (s.weightType === "int8") return factorBytes(s) + s.batch * Math.ceil(s.inFeatures / 32) * 64;
      return s.batch === 1 ? factorBytes(s) + s.inFeatures * 4 : s.inFeatures * paddedBatchBytes(s);
    },

    launches({ relu: rectify, ...s }, { x, weight, scale, bias, y }, callScratch) {
      const { block, count } = cutLinearRows(s);
      const input = { x, callScratch };
      const values = { weight, scale, bias, y, callScratch, relu: Number(rectify), block };
      if (s.weightType === "int8") {
        return [
          quantizedLaunch("linearRoundInputInt8", s, input, s.batch),
          quantizedLaunch("linearForwardInt8", s, values, count),
        ];
      }
      if (s.batch === 1) {
        return [
          quantizedLaunch("linearScaleInputF16", s, input, 1),
          quantizedLaunch("linearForwardVectorF16", s, values, count),
        ];
      }
      const { batch, inFeatures } = s;
      const workerBytes = F16_ROWS * (KC * 4 + paddedBatchBytes(s));
      return [
        launch("linearPackInput", LINEAR_ARGUMENTS, { batch, inFeatures, ...input }, Math.ceil(inFeatures / KC)),
        quantizedLaunch("linearForwardF16", s, values, count, workerBytes),
      ];
    },
  },
} satisfies Lowerings;
