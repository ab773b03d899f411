/**
 * AlexNet (Krizhevsky, Sutskever and Hinton 2012) and torchvision's variant of it (Krizhevsky's single column, "one weird
 * trick", 2014). Tables for net-config.ts.
 */
import { at, conv, dropout, flatten, indexed, linear, lrn, pool, type Row, relu } from "./net-config.js";

/** The hidden linear layers that AlexNet has and most of its successors took over: fc6, fc7, fc8. */
export const classifierRows: readonly Row[] = [
  flatten,
  ...[linear(4096), relu, dropout(0.5)],
  ...[linear(4096), relu, dropout(0.5)],
  linear("classes"),
];

/** Input 227 (the paper says 224, which its arithmetic does not fit). Channels must be even: conv2, 4 and 5 have two groups. */
export const alexnetRows: readonly Row[] = [
  ...[conv(96, 11, { stride: 4 }), relu, lrn, pool(3, 2)],
  ...[conv(256, 5, { padding: 2, groups: 2 }), relu, lrn, pool(3, 2)],
  ...[conv(384, 3, { padding: 1 }), relu],
  ...[conv(384, 3, { padding: 1, groups: 2 }), relu],
  ...[conv(256, 3, { padding: 1, groups: 2 }), relu, pool(3, 2)],
  ...classifierRows,
];

/** torchvision's alexnet, its names and order: no groups, no normalisation, dropout before the hidden layers. */
export const alexnetTorchvisionRows: readonly Row[] = [
  ...indexed("features", [
    ...[conv(64, 11, { stride: 4, padding: 2 }), relu, pool(3, 2)],
    ...[conv(192, 5, { padding: 2 }), relu, pool(3, 2)],
    ...[conv(384, 3, { padding: 1 }), relu],
    ...[conv(256, 3, { padding: 1 }), relu],
    ...[conv(256, 3, { padding: 1 }), relu, pool(3, 2)],
  ]),
  { kind: "adaptiveAvgPool", outputSize: 6, name: "avgpool" },
  at(flatten, { name: "flatten" }),
  ...indexed("classifier", [
    ...[dropout(0.5), linear(4096), relu],
    ...[dropout(0.5), linear(4096), relu],
    linear("classes"),
  ]),
];
