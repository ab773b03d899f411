/** Pooling: a grain is one plane of one image. */
import type { AdaptivePool2dShape, AvgPool2dShape, Pool2dShape } from "../../backend.js";
import { POOL2D_ARGUMENTS } from "../arguments.js";
import { type Launch, type Lowerings, launch, NONE, type Values } from "./launch.js";

export function pool2dLaunch(
  kernel: string,
  s: Pool2dShape | AdaptivePool2dShape,
  values: Values<typeof POOL2D_ARGUMENTS>,
): Launch {
  const { batch, channels, ...sizes } = s;
  const planes = batch * channels;
  return launch(kernel, POOL2D_ARGUMENTS, { ...sizes, planes, ...values }, planes);
}

function avgPool2dLaunch(
  kernel: string,
  { countIncludePad, ...s }: AvgPool2dShape,
  addresses: Values<typeof POOL2D_ARGUMENTS>,
): Launch {
  return pool2dLaunch(kernel, s, { ...addresses, countIncludePad: Number(countIncludePad) });
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

  avgPool2dForward: {
    scratchBytes: NONE,
    launches: (s, { x, y }) => [avgPool2dLaunch("avgPool2dForward", s, { x, y })],
  },

  avgPool2dBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, dx }) => [avgPool2dLaunch("avgPool2dBackward", s, { dy, dx })],
  },

  adaptiveAvgPool2dForward: {
    scratchBytes: NONE,
    launches: (s, { x, y }) => [pool2dLaunch("adaptiveAvgPool2dForward", s, { x, y })],
  },

  adaptiveAvgPool2dBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, dx }) => [pool2dLaunch("adaptiveAvgPool2dBackward", s, { dy, dx })],
  },

  adaptiveMaxPool2dForward: {
    scratchBytes: NONE,
    launches: (s, { x, y, winners }) => [pool2dLaunch("adaptiveMaxPool2dForward", s, { x, y, winners })],
  },

  adaptiveMaxPool2dBackward: {
    scratchBytes: NONE,
    launches: (s, { dy, winners, dx }) => [pool2dLaunch("adaptiveMaxPool2dBackward", s, { dy, winners, dx })],
  },
} satisfies Lowerings;
