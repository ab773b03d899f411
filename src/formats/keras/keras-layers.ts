/**
 * What each kind of Keras layer becomes: rows of net-config.ts, and how its weights (HWIO, [in, out], channels last) come to lie as
 * the engine has them. keras-net.ts walks the model and keeps the shapes; convolutions and pools are keras-conv.ts's.
 */
import { field, isList, type Json, listField, shown, textField } from "../json-values.js";
import { activate, activated, activationOf, leaky, numberField, pairOf } from "./keras-config.js";
import { conv2d, convTranspose2d, depthwise2d, pool2d, separable2d } from "./keras-conv.js";
import type { KerasNet, Value } from "./keras-net.js";
import type { KerasLayer } from "./keras-topology.js";

/** Makes a layer's rows; gives what it puts out. */
type Translate = (net: KerasNet, layer: KerasLayer, input: Value, inputs: readonly Value[]) => Value;

/**
 * Adds a layer to the net.
 * @throws WeightsError for a layer that has no counterpart.
 */
export function translateLayer(net: KerasNet, layer: KerasLayer, inputs: readonly Value[]): Value {
  const translate = LAYERS.get(layer.className);
  if (!translate) throw net.unsupported(layer, "is of an unknown class");
  if (inputs.length !== 1 && !MERGES.has(layer.className)) throw net.damaged(layer, "takes several layers");
  return translate(net, layer, inputs[0], inputs);
}

const same: Translate = (_net, _layer, input) => input;

const activation: Translate = (net, layer, input) =>
  activate(net, layer, input, activationOf(layer.config), net.nameOf(layer));

const softmax: Translate = (net, layer, input) => {
  if (!net.isChannelAxis(field(layer.config, "axis"), input)) throw net.unsupported(layer, "is a soft-max over places");
  return { ...input, softmax: true };
};

const relu: Translate = (net, layer, input) => {
  const { config } = layer;
  const slope = numberField(config, 0, "negative_slope", "alpha");
  if (field(config, "max_value") !== undefined || numberField(config, 0, "threshold") !== 0) {
    throw net.unsupported(layer, "is a rectifier with max_value or threshold");
  }
  if (slope !== 0) return leaky(net, input, slope, net.nameOf(layer));
  return activate(net, layer, input, "relu", net.nameOf(layer));
};

const leakyRelu: Translate = (net, layer, input) =>
  leaky(net, input, numberField(layer.config, 0.3, "alpha", "negative_slope"), net.nameOf(layer));

const dropout: Translate = (net, layer, input) => {
  const p = numberField(layer.config, 0.5, "rate", "p");
  if (!(p >= 0 && p < 1)) throw net.damaged(layer, `has a rate that is no share below 1 (rate ${p})`);
  return { ...input, row: net.add({ kind: "dropout", p }, net.nameOf(layer), [input]) };
};

const flatten: Translate = (net, layer, input) => {
  if (input.sides === null) return input;
  const order = net.flattenedOrder(layer, input);
  const row = net.add({ kind: "flatten" }, net.nameOf(layer), [input]);
  return { row, sides: null, positive: input.positive ?? false, ...order };
};

const reshape: Translate = (net, layer, input) => {
  const target = listField(layer.config, "target_shape");
  const [height, width] = input.sides ?? [null, null];
  if (target.length === 1) return flatten(net, layer, input, [input]);
  // A grey picture without a third axis gets one.
  const equal = target[0] === height && target[1] === width && target[2] === input.channels;
  if (input.sides !== null && target.length === 3 && equal) return input;
  throw net.unsupported(layer, `reshapes to ${shown(target)}; only flat shapes are supported`);
};

const dense: Translate = (net, layer, input) => {
  const { config } = layer;
  const units = unitsOf(net, layer);
  const bias = field(config, "use_bias", "bias") !== false;
  const name = net.nameOf(layer);
  const kernel = net.weight(layer, "kernel", 0, [input.channels, units]);
  if (bias) net.put(`${name}.bias`, { tensor: net.weight(layer, "bias", 1, [units]) });
  if (input.sides !== null) {
    // On the last axis of a picture it is a convolution of one place.
    const row = { kind: "conv", outputs: units, kernelSize: 1, stride: 1, padding: 0, groups: 1, bias } as const;
    net.put(`${name}.weight`, { tensor: kernel, view: [1, 1, input.channels, units], permute: [3, 2, 0, 1] });
    return activated(net, layer, { row: net.add(row, name, [input]), channels: units, sides: input.sides });
  }
  const { flattened } = input;
  net.put(
    `${name}.weight`,
    flattened
      ? { tensor: kernel, view: [...flattened, units], permute: [3, 2, 0, 1] }
      : { tensor: kernel, permute: [1, 0] },
  );
  const row = net.add({ kind: "linear", outputs: units, bias }, name, [input]);
  return activated(net, layer, { row, channels: units, sides: null });
};

/** Outputs of a layer. */
function unitsOf(net: KerasNet, layer: KerasLayer): number {
  const units = pairOf(field(layer.config, "units", "output_dim"), 1)?.[0];
  if (units === undefined) throw net.damaged(layer, "does not say how many outputs it has");
  return units;
}

const batchNorm: Translate = (net, layer, input) => {
  const { config } = layer;
  if (!net.isChannelAxis(field(config, "axis"), input))
    throw net.unsupported(layer, "normalises another axis than the channels");
  const name = net.nameOf(layer);
  const { channels, flattened } = input;
  const order = flattened ? { view: flattened, permute: [2, 0, 1] } : {};
  const scale = field(config, "scale") !== false;
  const center = field(config, "center") !== false;
  const first = (scale ? 1 : 0) + (center ? 1 : 0);
  const at = (short: string, index: number) => ({ tensor: net.weight(layer, short, index, [channels]), ...order });
  net.put(`${name}.weight`, scale ? at("gamma", 0) : { fill: 1 });
  net.put(`${name}.bias`, center ? at("beta", scale ? 1 : 0) : { fill: 0 });
  net.put(`${name}.running_mean`, at("moving_mean", first));
  net.put(`${name}.running_var`, at("moving_variance", first + 1));
  const eps = numberField(config, 1e-3, "epsilon");
  if (!(eps >= 0 && eps < 1e6)) throw net.damaged(layer, `has a wrong epsilon (epsilon ${eps})`);
  return { ...input, row: net.add({ kind: "batchNorm", eps }, name, [input]), positive: false };
};

/** What is cut off or put around: [[top, bottom], [left, right]], [vertical, horizontal] or one number. */
function bordersOf(value: Json): readonly [top: number, bottom: number, left: number, right: number] | undefined {
  const both = pairOf(value, 0);
  const [vertical, horizontal] = both ?? (isList(value) ? value : []);
  const [first, second] = [pairOf(vertical, 0), pairOf(horizontal, 0)];
  return first && second && [...first, ...second];
}

/** The engine cuts to the size of something: of any layer before it that has the size. */
const cropping: Translate = (net, layer, input) => {
  const borders = bordersOf(field(layer.config, "cropping") ?? 0);
  if (!borders || input.sides === null) throw net.damaged(layer, "has a wrong cropping");
  const [top, bottom, left, right] = borders;
  if (borders.every((border) => border === 0)) return input;
  const less = (side: number | null, by: number): number | null => (side === null ? null : side - by);
  const sides = [less(input.sides[0], top + bottom), less(input.sides[1], left + right)] as const;
  const like = net.valueOfSize(sides);
  if (top !== left || !like) throw net.unsupported(layer, `cuts to a size that no layer before it has ([${sides}])`);
  return { ...input, row: net.add({ kind: "crop", offset: top }, net.nameOf(layer), [input, like]), sides };
};

const zeroPadding: Translate = (net, layer, input) => {
  const padding = field(layer.config, "padding") ?? 1;
  const borders = bordersOf(padding);
  const { sides } = input;
  if (!borders || sides === null) throw net.damaged(layer, `has a wrong padding (padding ${shown(padding)})`);
  const [top, bottom, left, right] = borders;
  const row = net.add({ kind: "pad", sides: [top, left, bottom, right] }, net.nameOf(layer), [input]);
  const more = (side: number | null, by: number): number | null => (side === null ? null : side + by);
  return { ...input, row, sides: [more(sides[0], top + bottom), more(sides[1], left + right)] };
};

const upSampling: Translate = (net, layer, input) => {
  const how = textField(layer.config, "interpolation") ?? "nearest";
  const size = pairOf(field(layer.config, "size") ?? 2, 1);
  if (how !== "bilinear")
    throw net.unsupported(layer, `samples up by interpolation ${shown(how)}; bilinear is supported`);
  if (!size || input.sides === null) throw net.damaged(layer, "has a wrong size");
  const row = net.add({ kind: "upsample", scaleFactor: size, alignCorners: false }, net.nameOf(layer), [input]);
  const times = (side: number | null, by: number): number | null => (side === null ? null : side * by);
  return { ...input, row, sides: [times(input.sides[0], size[0]), times(input.sides[1], size[1])] };
};

const globalPool =
  (kind: "adaptiveAvgPool" | "adaptiveMaxPool"): Translate =>
  (net, layer, input) => {
    if (input.sides === null) throw net.damaged(layer, "pools what is flat");
    const positive = input.positive ?? false;
    const row = net.add({ kind, outputSize: 1 }, net.nameOf(layer), [input]);
    const pooled: Value = { row, channels: input.channels, sides: [1, 1], positive };
    if (field(layer.config, "keepdims") === true) return pooled;
    return { ...pooled, row: net.add({ kind: "flatten" }, net.free(`${layer.name}_flatten`), [pooled]), sides: null };
  };

const concatenate: Translate = (net, layer, input, inputs) => {
  if (!net.isChannelAxis(field(layer.config, "axis", "concat_axis"), input)) {
    throw net.unsupported(layer, "joins along another axis than the channels");
  }
  if (!inputs.every(({ sides }) => sameSides(sides, input.sides)))
    throw net.damaged(layer, "joins pictures of several sizes");
  if (inputs.some(({ flattened }) => flattened)) throw net.unsupported(layer, "joins flattened pictures");
  const row = net.add({ kind: "concat" }, net.nameOf(layer), inputs);
  const channels = inputs.reduce((sum, value) => sum + value.channels, 0);
  return { row, channels, sides: input.sides, positive: inputs.every((value) => value.positive) };
};

const elementwise =
  (kind: "add" | "mul"): Translate =>
  (net, layer, input, inputs) => {
    const alike = inputs.every(
      (value) =>
        value.channels === input.channels &&
        sameSides(value.sides, input.sides) &&
        String(value.flattened) === String(input.flattened),
    );
    if (!alike) throw net.unsupported(layer, "combines outputs of several shapes");
    const row = net.add({ kind }, net.nameOf(layer), inputs);
    return { ...input, row, positive: inputs.every((value) => value.positive) };
  };

function sameSides(a: Value["sides"], b: Value["sides"]): boolean {
  return String(a) === String(b);
}

const rescaling: Translate = (net, layer, input) => {
  const [factor, offset] = [
    numbersOf(field(layer.config, "scale") ?? 1),
    numbersOf(field(layer.config, "offset") ?? 0),
  ];
  net.prepare(layer, input, factor, offset);
  return input;
};

const normalization: Translate = (net, layer, input) => {
  const { config } = layer;
  const [mean, variance] = [field(config, "mean"), field(config, "variance")];
  if (mean === undefined || variance === undefined || field(config, "invert") === true) {
    throw net.unsupported(layer, "normalises by numbers that are not in its description");
  }
  const factor = numbersOf(variance).map((value) => 1 / Math.max(Math.sqrt(value), 1e-7));
  net.prepare(
    layer,
    input,
    factor,
    numbersOf(mean).map((value, i) => -value * (factor[factor.length === 1 ? 0 : i] ?? Number.NaN)),
  );
  return input;
};

/** All numbers of a list of lists of lists. */
function numbersOf(value: Json): number[] {
  if (typeof value === "number") return [value];
  return isList(value) && value.length > 0 && value.length <= 4
    ? value.flatMap((item) => (typeof item === "number" ? [item] : nested(item)))
    : [Number.NaN];
}

/** Keras keeps means with all axes: [[[[a, b, c]]]]. */
function nested(value: Json): number[] {
  let inner = value;
  for (let depth = 0; depth < 3 && isList(inner) && inner.length === 1; depth++) inner = inner[0];
  const list = isList(inner) ? inner : [inner];
  return list.length <= 4 ? list.map((item) => (typeof item === "number" ? item : Number.NaN)) : [Number.NaN];
}

/** Classes that take several layers. */
const MERGES = new Set(["Concatenate", "Add", "Multiply"]);

const LAYERS: ReadonlyMap<string, Translate> = new Map<string, Translate>([
  ["Conv2D", conv2d],
  ["Convolution2D", conv2d],
  ["Conv2DTranspose", convTranspose2d],
  ["DepthwiseConv2D", depthwise2d],
  ["SeparableConv2D", separable2d],
  ["MaxPooling2D", pool2d("pool")],
  ["AveragePooling2D", pool2d("avgPool")],
  ["GlobalAveragePooling2D", globalPool("adaptiveAvgPool")],
  ["GlobalMaxPooling2D", globalPool("adaptiveMaxPool")],
  ["Dense", dense],
  ["BatchNormalization", batchNorm],
  ["BatchNormalizationV1", batchNorm],
  ["Activation", activation],
  ["Softmax", softmax],
  ["ReLU", relu],
  ["LeakyReLU", leakyRelu],
  ["Dropout", dropout],
  ["SpatialDropout2D", same],
  ["GaussianNoise", same],
  ["GaussianDropout", same],
  ["AlphaDropout", same],
  ["ActivityRegularization", same],
  ["RandomFlip", same],
  ["RandomRotation", same],
  ["RandomZoom", same],
  ["RandomTranslation", same],
  ["RandomContrast", same],
  ["RandomBrightness", same],
  ["Flatten", flatten],
  ["Reshape", reshape],
  ["ZeroPadding2D", zeroPadding],
  ["Cropping2D", cropping],
  ["UpSampling2D", upSampling],
  ["Concatenate", concatenate],
  ["Add", elementwise("add")],
  ["Multiply", elementwise("mul")],
  ["Rescaling", rescaling],
  ["Normalization", normalization],
]);
