/** Nets with every layer that TensorFlow.js's layers can say, for tfjs-write.test.ts and scripts/long/tfjs-roundtrip.ts. */
import { batchNorm, conv, dropout, linear, type Row, relu } from "#src/models/net-config.js";
import { vggLayers } from "#src/models/vgg-config.js";

/** A net and its input. */
export interface TfjsNetCase {
  readonly name: string;
  readonly rows: readonly Row[];
  readonly inShape: readonly [number, number, number];
}

const flatten: Row = { kind: "flatten" };
const pool = (rest: Partial<Extract<Row, { kind: "pool" }>> = {}): Row => ({
  kind: "pool",
  kernelSize: 2,
  stride: 2,
  padding: 0,
  ceilMode: false,
  ...rest,
});
const avgPool = (rest: Partial<Extract<Row, { kind: "avgPool" }>> = {}): Row => ({
  kind: "avgPool",
  kernelSize: 2,
  stride: 2,
  padding: 0,
  ceilMode: false,
  ...rest,
});
const transposed = (rest: Partial<Extract<Row, { kind: "convTranspose" }>>): Row => ({
  kind: "convTranspose",
  outputs: 4,
  kernelSize: 2,
  stride: 2,
  padding: 0,
  groups: 1,
  bias: true,
  ...rest,
});

/** Names of each its own, since the rows' defaults are counted by convolutions. */
const named = (rows: readonly Row[]): Row[] => rows.map((row, i) => ({ ...row, name: row.name ?? `${i}_${row.kind}` }));

/** A narrow VGG's layers as rows. */
function vggRows(config: "A" | "D", batchNormalised: boolean): Row[] {
  const layers = vggLayers(config, {
    inputSize: 32,
    width: 1 / 16,
    classes: 10,
    classifier: [32, 24],
    batchNorm: batchNormalised,
  });
  return layers.map(({ inShape, outShape, inChannels, outChannels, params, macs, ...row }): Row => {
    const hasOutputs = row.kind === "conv" || row.kind === "linear";
    return hasOutputs ? { ...row, outputs: outChannels } : row;
  });
}

export const TFJS_NETS: readonly TfjsNetCase[] = [
  {
    name: "a net for digits: valid windows, batch norm before and behind Flatten",
    inShape: [1, 14, 14],
    rows: named([
      conv(6, 3),
      relu,
      pool(),
      conv(8, 3),
      relu,
      batchNorm({ name: "2_norm" }),
      flatten,
      batchNorm({ name: "flat_norm" }),
      linear(12),
      { kind: "tanh" },
      dropout(0.25),
      linear(10, { bias: false }),
      batchNorm({ name: "end_norm" }),
    ]),
  },
  { name: "VGG A, narrow", inShape: [3, 32, 32], rows: vggRows("A", false) },
  { name: "VGG D, narrow, with batch norm", inShape: [3, 32, 32], rows: vggRows("D", true) },
  {
    name: "windows and padding of all sorts",
    inShape: [3, 17, 15],
    rows: named([
      conv(4, [3, 5], { padding: [1, 2] }),
      conv(6, 3, { stride: 2, padding: 1 }),
      { kind: "leakyRelu", slope: 0.1 },
      conv(6, 3, { padding: 2, dilation: 2 }),
      conv(12, 3, { padding: 0, groups: 6, bias: false }),
      avgPool({ kernelSize: 3, stride: 1, padding: 1, countIncludePad: false }),
      avgPool({ kernelSize: 3, stride: 1, padding: 1, countIncludePad: true }),
      { kind: "pad", sides: [1, 0, 2, 3] },
      relu,
      pool({ kernelSize: 3, stride: 2, padding: 1 }),
      pool({ ceilMode: true }),
      { kind: "sigmoid" },
      transposed({}),
      transposed({ kernelSize: 4, padding: 1 }),
      transposed({ kernelSize: 3, stride: 1, padding: 0, bias: false }),
      { kind: "adaptiveMaxPool", outputSize: [2, 7] },
      { kind: "adaptiveAvgPool", outputSize: 1 },
      flatten,
      linear(5),
    ]),
  },
  {
    name: "a graph: sums, products, branches, a crop",
    inShape: [3, 9, 8],
    rows: [
      conv(4, 3, { padding: 1, name: "a" }),
      { kind: "relu", name: "b" },
      conv(4, 1, { name: "c", from: ["b"] }),
      { kind: "add", name: "sum", from: ["b", "c"] },
      { kind: "sigmoid", name: "gate", from: ["c"] },
      { kind: "mul", name: "product", from: ["sum", "gate"] },
      { kind: "concat", name: "both", from: ["product", "b", "input"] },
      conv(2, 3, { name: "small", from: ["b"] }),
      { kind: "crop", name: "cut", from: ["both", "small"], offset: 1 },
      { kind: "concat", name: "end", from: ["cut", "small"] },
      flatten,
      linear(7, { name: "fc" }),
    ],
  },
];
