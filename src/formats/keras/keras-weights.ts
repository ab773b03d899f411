/**
 * Names of the weights in `.h5` files of Keras 1 and 2: a group a layer, whose attributes say in which order its weights are, under names of
 * several fashions. Here they become `layer/kernel`. Pure functions of the file's structure.
 */
import { DamagedFileError } from "../../core/errors.js";
import { shown } from "../json-values.js";
import type { Hdf5Attributes, Hdf5File } from "./hdf5.js";
import type { Hdf5Tensor } from "./hdf5-chunks.js";

/** Keras 1's names of weights. */
const OLD_NAMES: ReadonlyMap<string, string> = new Map([
  ["W", "kernel"],
  ["b", "bias"],
  ["running_mean", "moving_mean"],
  ["running_std", "moving_variance"],
]);

/**
 * Tensors by `layer/kernel`, those of a model within the model by `model/layer/kernel`; tensors of no layer keep their paths.
 * @throws DamagedFileError where a layer's list names what is not there.
 */
export function layerTensors(
  { groups }: Hdf5File,
  tensors: ReadonlyMap<string, Hdf5Tensor>,
  file: string,
): Map<string, Hdf5Tensor> {
  const root = groups.has("model_weights") ? "model_weights" : "";
  const named = new Map<string, Hdf5Tensor>();
  for (const layer of listOf(groups.get(root), "layer_names")) {
    const group = root === "" ? layer : `${root}/${layer}`;
    for (const weight of listOf(groups.get(group), "weight_names")) {
      const tensor = tensors.get(`${group}/${weight}`);
      if (!tensor) {
        throw new DamagedFileError(
          `load: ${file} lacks a weight that it lists (layer ${shown(layer)}, weight ${shown(weight)}). Download or save the file again.`,
        );
      }
      named.set(weightName(layer, weight), tensor);
    }
  }
  return named.size > 0 ? named : new Map(tensors);
}

/**
 * The name of a weight whose layer has the group: `block1_conv1` and `block1_conv1_W_1:0`, `block1_conv1/kernel:0` or
 * `block1_conv1_3/kernel:0` are all `block1_conv1/kernel`; `vgg16` and `block1_conv1/kernel:0` are `vgg16/block1_conv1/kernel`.
 */
export function weightName(group: string, weight: string): string {
  const parts = weight.replace(/:\d+$/, "").split("/");
  const last = parts.pop() ?? "";
  const own = group.split("/").at(-1) ?? group;
  const inner = parts.filter((part) => !sameLayer(part, own));
  return [group, ...inner, shortName(last, inner.at(-1) ?? own)].join("/");
}

/** Keras numbers layers that it makes anew in one session: conv_1, conv_2. */
function sameLayer(part: string, layer: string): boolean {
  return part === layer || (part.startsWith(`${layer}_`) && /^\d+$/.test(part.slice(layer.length + 1)));
}

/** `block1_conv1_W_1` is kernel. */
function shortName(name: string, layer: string): string {
  const own = name.startsWith(`${layer}_`) ? name.slice(layer.length + 1) : name;
  const plain = own.replace(/_\d+$/, "");
  return OLD_NAMES.get(plain) ?? (own === name ? own : plain);
}

/** A list of texts; HDF5's attributes hold 64 KiB, so Keras cuts longer ones into name0, name1, … */
function listOf(attributes: Hdf5Attributes | undefined, name: string): readonly string[] {
  const whole = attributes?.get(name);
  if (whole) return whole;
  const parts: (readonly string[])[] = [];
  for (let i = 0; attributes?.has(`${name}${i}`); i++) parts.push(attributes.get(`${name}${i}`) ?? []);
  return parts.flat();
}
