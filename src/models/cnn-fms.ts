/**
 * CNN-F, CNN-M and CNN-S (Chatfield, Simonyan, Vedaldi and Zisserman 2014, table 1). Tables for net-config.ts.
 *
 * (unconfirmed) in our sources: all of F, and S after its first pool. Pools round up and S's conv2 has no padding, as in the released
 * Caffe nets; the paper's table pads that by 1, with the same maps of 17 after pool2 and the same weights.
 */
import { classifierRows } from "./alexnet.js";
import { conv, lrn, poolUp, type Row, relu } from "./net-config.js";

const conv3to5 = (channels: number): Row[] => [1, 2, 3].flatMap(() => [conv(channels, 3, { padding: 1 }), relu]);

/** Fast: maps 54, 27, 13, 6. */
export const cnnFRows: readonly Row[] = [
  ...[conv(64, 11, { stride: 4 }), relu, lrn, poolUp(3, 2)],
  ...[conv(256, 5, { padding: 2 }), relu, lrn, poolUp(3, 2)],
  ...conv3to5(256),
  poolUp(3, 2),
  ...classifierRows,
];

/** Medium: maps 109, 54, 26, 13, 6. */
export const cnnMRows: readonly Row[] = [
  ...[conv(96, 7, { stride: 2 }), relu, lrn, poolUp(3, 2)],
  ...[conv(256, 5, { stride: 2, padding: 1 }), relu, lrn, poolUp(3, 2)],
  ...conv3to5(512),
  poolUp(3, 2),
  ...classifierRows,
];

/** Slow: maps 109, 37, 33, 17, 6. */
export const cnnSRows: readonly Row[] = [
  ...[conv(96, 7, { stride: 2 }), relu, lrn, poolUp(3, 3)],
  ...[conv(256, 5), relu, poolUp(2, 2)],
  ...conv3to5(512),
  poolUp(3, 3),
  ...classifierRows,
];
