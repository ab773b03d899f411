/**
 * Network in Network for ImageNet (Lin, Chen and Yan 2014; layers as the authors released them for Caffe, with its names): each
 * convolution is followed by two 1x1 ones, and the last maps are averaged: no linear layer. A table for net-config.ts.
 */
import { at, conv, dropout, flatten, poolUp, type Row, relu } from "./net-config.js";

type Unit = readonly [name: string, outputs: number | "classes"];

/** A convolution and the two 1x1 ones behind it, each with its ReLU. */
const mlpconv = (first: Row, ...units: readonly Unit[]): Row[] =>
  [first, ...units.map(([name, outputs]) => conv(outputs, 1, { name }))].flatMap((row) => [
    row,
    at(relu, { name: `relu_${row.name}` }),
  ]);

export const ninRows: readonly Row[] = [
  ...mlpconv(conv(96, 11, { stride: 4, name: "conv1" }), ["cccp1", 96], ["cccp2", 96]),
  at(poolUp(3, 2), { name: "pool0" }),
  ...mlpconv(conv(256, 5, { padding: 2, name: "conv2" }), ["cccp3", 256], ["cccp4", 256]),
  at(poolUp(3, 2), { name: "pool2" }),
  ...mlpconv(conv(384, 3, { padding: 1, name: "conv3" }), ["cccp5", 384], ["cccp6", 384]),
  at(poolUp(3, 2), { name: "pool3" }),
  dropout(0.5, { name: "drop" }),
  ...mlpconv(conv(1024, 3, { padding: 1, name: "conv4" }), ["cccp7", 1024], ["cccp8", "classes"]),
  { kind: "adaptiveAvgPool", outputSize: 1, name: "pool4" },
  flatten,
];
