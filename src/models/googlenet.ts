/**
 * GoogLeNet (Szegedy et al. 2014, table 1) and torchvision's variant of it with batch normalisation. 22 layers, nine Inception
 * modules, two auxiliary classifiers (unconfirmed). Tables for net-config.ts; both have torchvision's names.
 *
 * The variant: BN (eps 0.001) instead of biases and LRN, 3x3 where the paper has 5x5, pool4 2x2, and 4x4 adaptive pools before the
 * auxiliary classifiers. The paper gives no constants of its normalisation: here Krizhevsky's.
 */
import { at, batchNorm, conv, dropout, flatten, linear, lrn, pool, poolUp, type Row, relu } from "./net-config.js";

/** Channels of one module: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; behind the pool. */
type Channels = readonly [c1: number, r3: number, c3: number, r5: number, c5: number, proj: number];

const INCEPTION: Readonly<Record<string, Channels>> = {
  "3a": [64, 96, 128, 16, 32, 32],
  "3b": [128, 128, 192, 32, 96, 64],
  "4a": [192, 96, 208, 16, 48, 64],
  "4b": [160, 112, 224, 24, 64, 64],
  "4c": [128, 128, 256, 24, 64, 64],
  "4d": [112, 144, 288, 32, 64, 64],
  "4e": [256, 160, 320, 32, 128, 128],
  "5a": [256, 160, 320, 32, 128, 128],
  "5b": [384, 192, 384, 48, 128, 128],
};

export interface GooglenetOptions {
  /** torchvision's variant; default false. */
  readonly batchNorm?: boolean;
  /** Whether there are auxiliary classifiers; default true. */
  readonly auxiliary?: boolean;
}

/** The rows. Auxiliary classifiers come last: what they take is above. */
export function googlenetRows({ batchNorm: withNorm = false, auxiliary = true }: GooglenetOptions): Row[] {
  /** Convolution, normalisation in the variant, ReLU, whose name is `name.relu`. */
  const unit = (
    name: string,
    outputs: number,
    kernelSize: number,
    rest: { stride?: number; from?: string[] } = {},
  ): Row[] => [
    conv(outputs, kernelSize, { ...rest, name: `${name}.conv`, padding: (kernelSize - 1) / 2, bias: !withNorm }),
    ...(withNorm ? [batchNorm({ name: `${name}.bn`, eps: 1e-3 })] : []),
    at(relu, { name: `${name}.relu` }),
  ];

  const inception = (id: string, input: string): Row[] => {
    const name = `inception${id}`;
    const [c1, r3, c3, r5, c5, proj] = INCEPTION[id];
    const from = [input];
    return [
      ...unit(`${name}.branch1`, c1, 1, { from }),
      ...[...unit(`${name}.branch2.0`, r3, 1, { from }), ...unit(`${name}.branch2.1`, c3, 3)],
      ...[...unit(`${name}.branch3.0`, r5, 1, { from }), ...unit(`${name}.branch3.1`, c5, withNorm ? 3 : 5)],
      ...[pool(3, 1, { padding: 1, name: `${name}.branch4.0`, from }), ...unit(`${name}.branch4.1`, proj, 1)],
      {
        kind: "concat",
        name,
        from: ["branch1", "branch2.1", "branch3.1", "branch4.1"].map((branch) => `${name}.${branch}.relu`),
      },
    ];
  };

  const classifier = (name: string, input: string): Row[] => {
    const from = [input];
    const average: Row = withNorm
      ? { kind: "adaptiveAvgPool", outputSize: 4, name: `${name}.pool`, from }
      : { kind: "avgPool", kernelSize: 5, stride: 3, padding: 0, ceilMode: true, name: `${name}.pool`, from };
    const rows = [
      average,
      ...unit(`${name}.conv`, 128, 1),
      at(flatten, { name: `${name}.flatten` }),
      ...[linear(1024, { name: `${name}.fc1` }), at(relu, { name: `${name}.relu` })],
      dropout(0.7, { name: `${name}.dropout` }),
      linear("classes", { name: `${name}.fc2` }),
    ];
    return rows.map((row) => ({ ...row, auxiliary: true }));
  };

  const normalise = (name: string): Row[] => (withNorm ? [] : [at(lrn, { name })]);
  const down = (name: string, kernelSize = 3): Row => at(poolUp(kernelSize, 2), { name });
  return [
    ...[...unit("conv1", 64, 7, { stride: 2 }), down("maxpool1"), ...normalise("norm1")],
    ...[...unit("conv2", 64, 1), ...unit("conv3", 192, 3), ...normalise("norm2"), down("maxpool2")],
    ...[...inception("3a", "maxpool2"), ...inception("3b", "inception3a"), down("maxpool3")],
    ...[...inception("4a", "maxpool3"), ...inception("4b", "inception4a"), ...inception("4c", "inception4b")],
    ...[...inception("4d", "inception4c"), ...inception("4e", "inception4d"), down("maxpool4", withNorm ? 2 : 3)],
    ...[...inception("5a", "maxpool4"), ...inception("5b", "inception5a")],
    { kind: "adaptiveAvgPool", outputSize: 1, name: "avgpool" },
    at(flatten, { name: "flatten" }),
    dropout(withNorm ? 0.2 : 0.4, { name: "dropout" }),
    linear("classes", { name: "fc" }),
    ...(auxiliary ? [...classifier("aux1", "inception4a"), ...classifier("aux2", "inception4d")] : []),
  ];
}
