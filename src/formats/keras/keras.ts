/**
 * Keras's files: whole models and bare weights in HDF5 (`.h5`, Keras 1 and 2), and Keras 3's `.keras` archive and `.weights.h5`. The file's
 * structure is hdf5.ts's, the layers are keras-net.ts's; here is which tensor belongs to which layer.
 */
import { WeightsError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import { checkElements } from "../../io/stored-floats.js";
import type { FileNet, WeightsFile } from "../../io/weights-file.js";
import { type Json, parseJson, shown, textField } from "../json-values.js";
import { openZip, type Zip } from "../zip.js";
import { type Hdf5File, openHdf5 } from "./hdf5.js";
import { type Hdf5Tensor, hdf5Tensor } from "./hdf5-chunks.js";
import { type FindWeight, kerasNet } from "./keras-net.js";
import { readTopology } from "./keras-topology.js";
import { layerTensors } from "./keras-weights.js";

/** JSON of a model in an archive: the largest known have 3 MB. */
const MAX_JSON_BYTES = 2 ** 26;

/** Where Keras 3 keeps a model's layers; the second is what TensorFlow 2.12 wrote. */
const KERAS3_ROOTS = ["", "_layer_checkpoint_dependencies/"];

/**
 * Opens an `.h5` file of Keras. Bare weights have no net; their tensors are called `block1_conv1/kernel` whatever the version.
 * @throws WeightsError for a layer without counterpart; DamagedFileError for a damaged file.
 */
export async function openKerasH5(reader: ByteReader): Promise<WeightsFile> {
  const file = await openHdf5(reader);
  const root = file.groups.get("") ?? new Map();
  const config = root.get("model_config")?.[0];
  const tensors = readTensors(reader, file);
  if (isKeras3(file)) {
    return { ...weightsFile(reader, "Keras 3, weights only", tensors, metadataOf(root)), net: null };
  }
  const named = layerTensors(file, tensors, reader.name);
  const find = findByName(named);
  const model = config === undefined ? null : parseJson(config, reader.name);
  const variant = model === null ? "weights only" : `whole model, Keras ${versionOf(root)}`;
  return {
    ...weightsFile(reader, variant, named, metadataOf(root)),
    net: model === null ? null : kerasNet(readTopology(model, reader.name), find, reader.name),
  };
}

/**
 * Opens a `.keras` archive.
 * @throws as {@link openKerasH5} does.
 */
export async function openKerasArchive(reader: ByteReader): Promise<WeightsFile> {
  const { name } = reader;
  const zip = await openZip(reader);
  const model = await readJson(zip, "config.json", name);
  const metadata = zip.entries.has("metadata.json") ? await readJson(zip, "metadata.json", name) : {};
  if (!zip.entries.has("model.weights.h5")) {
    throw new WeightsError(`load: ${name} has no weights that are read (entry "model.weights.h5"). Save it as HDF5.`);
  }
  const weights = await zip.open("model.weights.h5");
  const tensors = readTensors(weights, await openHdf5(weights));
  const version = textField(metadata, "keras_version") ?? "3";
  const net = kerasNet(readTopology(model, name), findByPlace(tensors), name);
  const texts = ["keras_version", "date_saved"].flatMap((key): [string, string][] => {
    const text = textField(metadata, key);
    return text === undefined ? [] : [[key, text]];
  });
  return { ...weightsFile(reader, `archive, Keras ${version}`, tensors, Object.fromEntries(texts)), net };
}

async function readJson(zip: Zip, entry: string, file: string): Promise<Json> {
  const part = await zip.open(entry);
  if (part.sizeBytes <= MAX_JSON_BYTES) return parseJson(await part.read(0, part.sizeBytes), `${file}, ${entry}`);
  throw new WeightsError(
    `load: ${file} has a description that is too large (${entry}, ${part.sizeBytes} bytes). It is another file.`,
  );
}

/** All data sets that hold numbers, by path. */
function readTensors(reader: ByteReader, { datasets }: Hdf5File): Map<string, Hdf5Tensor> {
  const tensors = new Map<string, Hdf5Tensor>();
  for (const [path, dataset] of datasets) {
    const tensor = hdf5Tensor(reader, path, dataset);
    if (tensor) tensors.set(path, tensor);
  }
  return tensors;
}

/**
 * Weights by the names of their layers, with or without the models that the layer is in. A layer whose weights are named after another one
 * (`batch_normalization_1` and `batch_normalization_v1_1/gamma`) has them if there is one such weight.
 */
function findByName(tensors: ReadonlyMap<string, Hdf5Tensor>): FindWeight {
  return (layer, short) => {
    const paths = [layer.path.join("/"), layer.path.at(-1) ?? ""];
    for (const path of paths) {
      const tensor = found(tensors, `${path}/${short}`);
      if (tensor) return tensor;
    }
    const alike = [...tensors.keys()].filter((name) => name.startsWith(`${paths[0]}/`) && name.endsWith(`/${short}`));
    return alike.length === 1 ? found(tensors, alike[0]) : undefined;
  };
}

/** Keras 3's files say which layer by its class and number, and which weight by its number. */
function findByPlace(tensors: ReadonlyMap<string, Hdf5Tensor>): FindWeight {
  const root =
    KERAS3_ROOTS.find((each) => each !== "" && [...tensors.keys()].some((path) => path.startsWith(each))) ?? "";
  return (layer, _short, index) => {
    const place = root === "" ? layer.place : layer.place.replaceAll("layers/", root);
    return found(tensors, `${place}/vars/${index}`);
  };
}

function found(tensors: ReadonlyMap<string, Hdf5Tensor>, name: string): ReturnType<FindWeight> {
  const tensor = tensors.get(name);
  return tensor && { name, shape: tensor.shape };
}

/** Keras 3's weights are called by numbers and say no layer names. */
function isKeras3({ groups, datasets }: Hdf5File): boolean {
  const said = groups.get("")?.has("layer_names") || groups.has("model_weights");
  return !said && [...datasets.keys()].some((path) => /(^|\/)vars\/\d+$/.test(path));
}

function versionOf(root: ReadonlyMap<string, readonly string[]>): string {
  return root.get("keras_version")?.[0] ?? "1";
}

function metadataOf(root: ReadonlyMap<string, readonly string[]>): Record<string, string> {
  const keys = ["keras_version", "backend"];
  return Object.fromEntries(
    keys.flatMap(
      (key) =>
        root
          .get(key)
          ?.slice(0, 1)
          .map((text) => [key, text]) ?? [],
    ),
  );
}

function weightsFile(
  reader: ByteReader,
  variant: string,
  tensors: ReadonlyMap<string, Hdf5Tensor>,
  metadata: Record<string, string>,
): WeightsFile & { net: FileNet | null } {
  const tensorOf = (name: string, begin: number, end: number): Hdf5Tensor => {
    const tensor = tensors.get(name);
    if (!tensor) {
      throw new WeightsError(
        `load: ${reader.name} has no such tensor (name ${shown(name)}). Read one of the names in tensors.`,
      );
    }
    checkElements(reader.name, name, tensor.shape, begin, end);
    return tensor;
  };
  return {
    format: "keras",
    variant,
    name: reader.name,
    tensors,
    metadata,
    net: null,
    readFloats: async (name, begin, target) => tensorOf(name, begin, begin + target.length).readFloats(begin, target),
    readBytes: async (name, begin, end) => tensorOf(name, begin, end).readBytes(begin, end),
    close: () => reader.close(),
  };
}
