/** Kernels that draw random numbers. */
import { RANDOM_ARGUMENTS } from "../arguments.js";
import { type Lowering, type Lowerings, launch, NONE } from "./launch.js";

/** Elements of a grain; must equal RANDOM_GRAIN of assembly/random.ts. */
export const RANDOM_GRAIN = 8192;

function randomFill(kernel: "fillUniform" | "fillNormal"): Lowering<"fillUniform" | "fillNormal"> {
  return {
    scratchBytes: NONE,
    launches: ({ length, key0, key1, counter, scale }, { y }) => [
      launch(kernel, RANDOM_ARGUMENTS, { y, length, key0, key1, counter, scale }, Math.ceil(length / RANDOM_GRAIN), 64),
    ],
  };
}

export const RANDOM_LOWERINGS = {
  dropout: {
    scratchBytes: NONE,
    launches({ length, p, key0, key1, counter }, { x, y }) {
      const threshold = Math.floor(p * 4294967296);
      const values = { x, y, length, key0, key1, counter, threshold, scale: 1 / (1 - p) };
      return [launch("dropout", RANDOM_ARGUMENTS, values, Math.ceil(length / RANDOM_GRAIN), 64)];
    },
  },

  fillUniform: randomFill("fillUniform"),

  fillNormal: randomFill("fillNormal"),
} satisfies Lowerings;
