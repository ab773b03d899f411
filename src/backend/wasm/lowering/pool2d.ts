/** Pooling. */
import type { Pool2dShape } from "../../backend.js";
import { POOL2D_ARGUMENTS } from "../arguments.js";
import { type Launch, type Lowerings, launch, NONE, type Values } from "./launch.js";

function pool2dLaunch(kernel: string, s: Pool2dShape, addresses: Values<typeof POOL2D_ARGUMENTS>): Launch {
  const { batch, channels, ...sizes } = s;
  const planes = batch * channels;
  return launch(kernel, POOL2D_ARGUMENTS, { ...sizes, planes, ...addresses }, planes);
}

export const POOL2D_LOWERINGS = {
  maxPool2dForward: {
    scratchBytes: NONE,
    launches: (s, { x, y, winners }) => [pool2dLaunch("maxPool2dForward", s, { x, y, winners })],
  },

  maxPool2dBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, winners, dx }) => [pool2dLaunch("maxPool2dBackward", s, { dy, winners, dx })],
  },
} satisfies Lowerings;
