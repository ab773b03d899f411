/**
 * A net's layers as TensorFlow.js's layers have them: channels last, windows "valid" or "same", padding as layers of its own. The other
 * direction of keras-layers.ts. Pure functions; tfjs-write.ts makes files of it.
 */
import { WeightsError } from "../../core/errors.js";
import { INPUT, type NetLayer, sidesOf } from "../../models/net-config.js";
import type { JsonObject } from "../json-values.js";
import { type Around, sameAround, span, type Two } from "../keras/keras-windows.js";

/** A layer of TensorFlow.js. */
export interface TfjsLayer {
  readonly className: string;
  readonly name: string;
  readonly config: JsonObject;
  /** Names of layers; INPUT for the net's. */
  readonly inputs: readonly string[];
}

/** One of its weights, and how it comes from the net's tensor. */
export interface TfjsWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** The name in the state dictionary. */
  readonly tensor: string;
  /** The shape that the tensor is taken by; axis i of the weight is axis permute[i] of it. */
  readonly view: readonly number[];
  readonly permute: readonly number[];
}

/** A net for TensorFlow.js. */
export interface TfjsNet {
  readonly layers: readonly TfjsLayer[];
  readonly weights: readonly TfjsWeight[];
  /** Name of the layer that puts out. */
  readonly output: string;
}

/** What a layer's output is, there. */
interface Value {
  /** Name of the layer. */
  readonly layer: string;
  /** Of what Flatten made: [channels, height, width] in our order; its own is [height, width, channels]. */
  readonly flattened: readonly number[] | null;
  readonly positive: boolean;
}

/** OIHW, and IOHW, to HWIO and HWOI. */
const FROM_OIHW = [2, 3, 1, 0];

/**
 * Translates a net.
 * @param layers the main output is the last one's that is not auxiliary.
 * @param softmax whether to put a soft-max at the end.
 * @throws WeightsError that names a layer which TensorFlow.js's layers cannot say.
 */
export function tfjsNet(layers: readonly NetLayer[], softmax: boolean): TfjsNet {
  const net = new Translation();
  let above: Value = { layer: INPUT, flattened: null, positive: false };
  const values = new Map([[INPUT, above]]);
  for (const layer of layers.filter(({ auxiliary }) => !auxiliary)) {
    const inputs = layer.from?.map((name) => values.get(name) ?? above) ?? [above];
    above = net.translate(layer, inputs);
    values.set(layer.name, above);
  }
  const output = softmax ? net.add("Activation", "softmax", { activation: "softmax" }, [above.layer]) : above.layer;
  return { layers: net.layers, weights: net.weights, output };
}

type Of<K extends NetLayer["kind"]> = Extract<NetLayer, { kind: K }>;

class Translation {
  readonly layers: TfjsLayer[] = [];
  readonly weights: TfjsWeight[] = [];

  /** Adds a layer under this name, or a like one where it is taken; gives the name. */
  add(className: string, wanted: string, config: JsonObject, inputs: readonly string[]): string {
    let name = wanted;
    for (let i = 2; this.layers.some((layer) => layer.name === name); i++) name = `${wanted}_${i}`;
    this.layers.push({ className, name, config: { name, trainable: true, dtype: "float32", ...config }, inputs });
    return name;
  }

  translate(layer: NetLayer, inputs: readonly Value[]): Value {
    const [input] = inputs;
    const plain = (className: string, config: JsonObject, positive = false): Value => ({
      ...input,
      layer: this.add(className, layer.name, config, [input.layer]),
      positive,
    });
    switch (layer.kind) {
      case "conv":
        return this.conv(layer, input);
      case "convTranspose":
        return this.convTranspose(layer, input);
      case "linear":
        return this.linear(layer, input);
      case "batchNorm":
        return this.batchNorm(layer, input);
      case "pool":
      case "avgPool":
        return this.pool(layer, input);
      case "adaptiveAvgPool":
      case "adaptiveMaxPool":
        return this.adaptivePool(layer, input);
      case "relu":
        return plain("ReLU", { max_value: null }, true);
      case "leakyRelu":
        return plain("LeakyReLU", { alpha: layer.slope });
      case "tanh":
        return plain("Activation", { activation: "tanh" });
      case "sigmoid":
        return plain("Activation", { activation: "sigmoid" }, true);
      case "dropout":
        return plain("Dropout", { rate: layer.p, noise_shape: null, seed: null }, input.positive);
      case "flatten":
        if (layer.inShape.length === 1) return input;
        return { ...plain("Flatten", FORMAT, input.positive), flattened: layer.inShape };
      case "pad": {
        const [top, left, bottom, right] = layer.sides;
        const padded = this.padded(layer.name, input, [
          { before: top, after: bottom },
          { before: left, after: right },
        ]);
        return { ...input, layer: padded };
      }
      case "crop": {
        const cropping = [1, 2].map((axis) => {
          const after = layer.inShape[axis] - layer.offset - layer.outShape[axis];
          return [layer.offset, after];
        });
        return plain("Cropping2D", { cropping, ...FORMAT }, input.positive);
      }
      case "concat":
      case "add":
      case "mul":
        return this.merge(layer, layer.kind, inputs);
      default:
        throw cannot(layer, "has no layer of this kind, or computes it in another way");
    }
  }

  private conv(layer: Of<"conv">, input: Value): Value {
    const { name, groups, bias, inChannels, outChannels } = layer;
    const [kernel, stride, padding] = [sidesOf(layer.kernelSize), sidesOf(layer.stride), sidesOf(layer.padding)];
    const dilation = sidesOf(layer.dilation ?? 1);
    if (Math.max(...stride) > 1 && Math.max(...dilation) > 1) throw cannot(layer, "has no strides with dilation");
    const size = two((axis) => span(kernel[axis], dilation[axis]));
    const even = two((axis) => padding[axis]).map((side) => ({ before: side, after: side }));
    const [from, mode] = this.windows(name, input, even, size, stride, layer.inShape);
    const window = {
      kernel_size: [...kernel],
      strides: [...stride],
      padding: mode,
      ...FORMAT,
      dilation_rate: [...dilation],
    };
    const depthwise = groups > 1 && groups === inChannels;
    if (groups > 1 && !depthwise) throw cannot(layer, `has no groups (groups ${groups})`);
    const own = this.add(
      depthwise ? "DepthwiseConv2D" : "Conv2D",
      name,
      {
        ...(depthwise ? { depth_multiplier: outChannels / groups } : { filters: outChannels }),
        ...window,
        ...biased(bias),
      },
      [from],
    );
    const view = depthwise ? [groups, outChannels / groups, ...kernel] : [outChannels, inChannels, ...kernel];
    this.weight(
      own,
      depthwise ? "depthwise_kernel" : "kernel",
      `${name}.weight`,
      view,
      depthwise ? [2, 3, 0, 1] : FROM_OIHW,
    );
    if (bias) this.weight(own, "bias", `${name}.bias`, [outChannels]);
    return { layer: own, flattened: null, positive: false };
  }

  private convTranspose(layer: Of<"convTranspose">, input: Value): Value {
    const { name, groups, bias, inChannels, outChannels } = layer;
    const [kernel, stride, padding] = [sidesOf(layer.kernelSize), sidesOf(layer.stride), sidesOf(layer.padding)];
    const other = [
      ...sidesOf(layer.outputPadding ?? 0),
      ...sidesOf(layer.dilation ?? 1).map((side) => side - 1),
      groups - 1,
    ];
    const over = two((axis) => kernel[axis] - stride[axis]);
    const valid = padding.every((side) => side === 0) && over.every((side) => side >= 0);
    const same = padding.every((side, axis) => 2 * side === over[axis]);
    if (other.some((value) => value !== 0) || !(valid || same)) {
      throw cannot(
        layer,
        "has transposed convolutions without groups, dilation or output padding alone, whole or cut to stride times the input",
      );
    }
    const window = { kernel_size: [...kernel], strides: [...stride], padding: valid ? "valid" : "same", ...FORMAT };
    const own = this.add("Conv2DTranspose", name, { filters: outChannels, ...window, ...biased(bias) }, [input.layer]);
    this.weight(own, "kernel", `${name}.weight`, [inChannels, outChannels, ...kernel], FROM_OIHW);
    if (bias) this.weight(own, "bias", `${name}.bias`, [outChannels]);
    return { layer: own, flattened: null, positive: false };
  }

  private linear(layer: Of<"linear">, { layer: from, flattened }: Value): Value {
    const { name, bias = true, inChannels, outChannels } = layer;
    const own = this.add("Dense", name, { units: outChannels, ...biased(bias) }, [from]);
    if (flattened) {
      const weight = { name: `${own}/kernel`, tensor: `${name}.weight`, shape: [inChannels, outChannels] };
      this.weights.push({ ...weight, view: [outChannels, ...flattened], permute: FROM_FLAT });
    } else this.weight(own, "kernel", `${name}.weight`, [outChannels, inChannels], [1, 0]);
    if (bias) this.weight(own, "bias", `${name}.bias`, [outChannels]);
    return { layer: own, flattened: null, positive: false };
  }

  private batchNorm(layer: Of<"batchNorm">, input: Value): Value {
    const { name, eps, outChannels } = layer;
    const config = { axis: -1, momentum: 0.9, epsilon: eps, center: true, scale: true };
    const own = this.add("BatchNormalization", name, config, [input.layer]);
    for (const [short, part] of NORM_PARTS) {
      const weight = { name: `${own}/${short}`, tensor: `${name}.${part}`, shape: [outChannels] };
      const flat = input.flattened;
      this.weights.push(
        flat ? { ...weight, view: flat, permute: [1, 2, 0] } : { ...weight, view: [outChannels], permute: [0] },
      );
    }
    return { ...input, layer: own, positive: false };
  }

  private pool(layer: Of<"pool" | "avgPool">, input: Value): Value {
    const [size, stride, padding] = [sidesOf(layer.kernelSize), sidesOf(layer.stride), sidesOf(layer.padding)];
    // Zeros before the picture, and as many behind it as the last window needs.
    const around = two((axis) => axis).map((axis) => {
      const [side, windows] = [layer.inShape[axis + 1], layer.outShape[axis + 1]];
      return {
        before: padding[axis],
        after: Math.max(0, (windows - 1) * stride[axis] + size[axis] - side - padding[axis]),
      };
    });
    const none = around.every(({ before, after }) => before === 0 && after === 0);
    const asSame = isSame(around, size, stride, layer.inShape);
    const countsPad = layer.kind === "avgPool" && (layer.countIncludePad ?? true) && padding.some((side) => side > 0);
    const config = (mode: string): JsonObject => ({
      pool_size: [...size],
      strides: [...stride],
      padding: mode,
      ...FORMAT,
    });
    const className = layer.kind === "pool" ? "MaxPooling2D" : "AveragePooling2D";
    const add = (from: string, mode: string): Value => ({
      ...input,
      layer: this.add(className, layer.name, config(mode), [from]),
    });
    if (none) return add(input.layer, "valid");
    if (asSame && !countsPad) return add(input.layer, "same");
    // Zeros are as good as padding that never wins, where nothing is below them; and where padding counts they are the same.
    const zeros = layer.kind === "pool" ? input.positive : countsPad && !layer.ceilMode;
    if (zeros) return add(this.padded(`${layer.name}_pad`, input, around), "valid");
    throw cannot(
      layer,
      `has no such windows (padding [${padding}], ceilMode ${layer.ceilMode}, input [${layer.inShape}])`,
    );
  }

  private adaptivePool(layer: Of<"adaptiveAvgPool" | "adaptiveMaxPool">, input: Value): Value {
    const size = two((axis) => layer.inShape[axis + 1] / layer.outShape[axis + 1]);
    if (size.every((side) => side === 1)) return input;
    if (!size.every(Number.isInteger)) {
      throw cannot(layer, `has no windows of several sizes (input [${layer.inShape}], output [${layer.outShape}])`);
    }
    const className = layer.kind === "adaptiveMaxPool" ? "MaxPooling2D" : "AveragePooling2D";
    const config = { pool_size: [...size], strides: [...size], padding: "valid", ...FORMAT };
    return { ...input, layer: this.add(className, layer.name, config, [input.layer]) };
  }

  private merge(layer: NetLayer, kind: "concat" | "add" | "mul", inputs: readonly Value[]): Value {
    const [{ flattened }] = inputs;
    if (inputs.length === 1) return inputs[0];
    const mixed = inputs.some((value) => String(value.flattened) !== String(flattened));
    const joined = kind === "concat" && inputs.some((value) => value.flattened !== null);
    if (mixed || joined) throw cannot(layer, "flattens pictures in another order, so that these cannot be joined");
    const className = { concat: "Concatenate", add: "Add", mul: "Multiply" }[kind];
    const own = this.add(
      className,
      layer.name,
      kind === "concat" ? { axis: -1 } : {},
      inputs.map((value) => value.layer),
    );
    return { layer: own, flattened, positive: inputs.every((value) => value.positive) };
  }

  /** What a layer with these zeros around takes, and its padding there. */
  private windows(
    name: string,
    input: Value,
    around: readonly Around[],
    size: Two,
    stride: Two,
    inShape: readonly number[],
  ): [from: string, mode: string] {
    if (around.every(({ before, after }) => before === 0 && after === 0)) return [input.layer, "valid"];
    if (isSame(around, size, stride, inShape)) return [input.layer, "same"];
    return [this.padded(`${name}_pad`, input, around), "valid"];
  }

  private padded(name: string, input: Value, around: readonly Around[]): string {
    const padding = around.map(({ before, after }) => [before, after]);
    return this.add("ZeroPadding2D", name, { padding, ...FORMAT }, [input.layer]);
  }

  private weight(
    layer: string,
    short: string,
    tensor: string,
    view: readonly number[],
    permute: readonly number[] = [0],
  ): void {
    this.weights.push({ name: `${layer}/${short}`, tensor, view, permute, shape: permute.map((axis) => view[axis]) });
  }
}

const FORMAT = { data_format: "channels_last" };

/** [out, channels, height, width] to [height, width, channels, out]. */
const FROM_FLAT = [2, 3, 1, 0];

const NORM_PARTS = [
  ["gamma", "weight"],
  ["beta", "bias"],
  ["moving_mean", "running_mean"],
  ["moving_variance", "running_var"],
] as const;

function biased(bias: boolean): JsonObject {
  return { use_bias: bias, activation: "linear" };
}

function two<T>(make: (axis: 0 | 1) => T): readonly [T, T] {
  return [make(0), make(1)];
}

/** Whether "same" adds just these zeros. */
function isSame(around: readonly Around[], size: Two, stride: Two, inShape: readonly number[]): boolean {
  return around.every(({ before, after }, i) => {
    const axis = i === 0 ? 0 : 1;
    const same = sameAround(inShape[axis + 1], size[axis], stride[axis]);
    return same?.before === before && same.after === after;
  });
}

function cannot(layer: NetLayer, why: string): WeightsError {
  return new WeightsError(
    `writeTfjs: TensorFlow.js ${why} (layer ${layer.name}, kind ${layer.kind}). Save as safetensors, or replace the layer.`,
  );
}
