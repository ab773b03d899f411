/**
 * Weights in fewer bits in files: what is written of a model, and how memory in fewer bits is filled from a file. Weights of more than one
 * dimension are stored as F16, or as I8 with a tensor of scales, one a row, beside them (NAME_scale); biases, batch normalisation and
 * int8's smallest weights stay F32. The numbers are core/quantize.ts's, the memory nn/quantized-linear.ts's, reading as float32 safetensors-format.ts's.
 */
import { WeightsError } from "../core/errors.js";
import type { StateTensor } from "../core/tensor.js";
import { QuantizedWeight } from "../nn/quantized-linear.js";
import { encodeF16, type QuantizedRows, quantizeRows } from "./quantize.js";
import { SCALE_SUFFIX, type TensorToWrite } from "./safetensors-format.js";
import type { WeightsFile } from "./weights-file.js";

type ReadableTensor = Pick<StateTensor, "shape" | "read">;

/**
 * Weights of fewer elements stay float32 in int8 files. A on CIFAR-10, width 0.25, 8 epochs: the logits are 0.013 from float32's (root of the mean
 * square) instead of 0.021, for 6 KB.
 */
const INT8_MIN_ELEMENTS = 4096;

/** Elements that are read at once: 4 MiB as float32, or a row. */
const PIECE_ELEMENTS = 1 << 20;

/**
 * The tensors of a model's file with weights in fewer bits, in the order of the model. The file's metadata must say `quantized`: `type`.
 * @throws WeightsError, while chunks are read, for a weight that is not finite or too large for its type.
 */
export function* quantizedState(
  model: { stateDict(): ReadonlyMap<string, ReadableTensor> },
  type: QuantizedWeight["type"],
): Generator<TensorToWrite> {
  for (const [name, tensor] of model.stateDict()) {
    const { shape } = tensor;
    if (isKeptWhole(tensor, type)) yield { name, shape, chunks: floatsOf(tensor) };
    else if (type === "float16") yield { name, shape, dtype: "F16", chunks: halvesOf(name, tensor) };
    else {
      yield { name, shape, dtype: "I8", chunks: partsOf(name, tensor, ({ q }) => q) };
      yield { name: name + SCALE_SUFFIX, shape: [shape[0]], chunks: partsOf(name, tensor, ({ scales }) => scales) };
    }
  }
}

/** Biases and the like; with int8 also weights that are too few to matter for the size but not for the net, as conv1_1's are. */
function isKeptWhole(tensor: ReadableTensor, type: QuantizedWeight["type"]): boolean {
  const { shape } = tensor;
  if (shape.length < 2) return true;
  if (tensor instanceof QuantizedWeight || type === "float16") return false;
  return shape[0] * columnsOf(shape) < INT8_MIN_ELEMENTS;
}

async function* floatsOf(tensor: ReadableTensor): AsyncGenerator<Float32Array> {
  for (const [begin, end] of pieces(tensor.shape)) yield await tensor.read(begin, end);
}

async function* halvesOf(name: string, tensor: ReadableTensor): AsyncGenerator<Uint16Array> {
  for await (const floats of floatsOf(tensor)) yield named(name, () => encodeF16(floats));
}

/** One part of an int8 weight; the other is made anew when it is written, so that neither has to be held. */
async function* partsOf<Part>(
  name: string,
  tensor: ReadableTensor,
  part: (rows: QuantizedRows) => Part,
): AsyncGenerator<Part> {
  const columns = columnsOf(tensor.shape);
  for (const [begin, end] of pieces(tensor.shape)) {
    if (tensor instanceof QuantizedWeight && tensor.type === "int8") {
      yield part(await tensor.readRows(begin / columns, end / columns));
    } else {
      const floats = await tensor.read(begin, end);
      yield part(named(name, () => quantizeRows(floats, columns)));
    }
  }
}

/** Runs an encoder; its error also names the tensor. */
function named<T>(name: string, encode: () => T): T {
  try {
    return encode();
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    throw new WeightsError(`quantizedState: a tensor cannot be stored so (tensor ${name}). ${error.message}`);
  }
}

function columnsOf(shape: readonly number[]): number {
  return shape.slice(1).reduce((product, side) => product * side, 1);
}

/** Ranges of elements of whole rows. */
function* pieces(shape: readonly number[]): Generator<[begin: number, end: number]> {
  const columns = columnsOf(shape);
  const size = (shape[0] ?? 1) * columns;
  const piece = Math.max(1, Math.floor(PIECE_ELEMENTS / columns)) * columns;
  for (let begin = 0; begin < size; begin += piece) yield [begin, Math.min(size, begin + piece)];
}

/**
 * Fills a weight in fewer bits from a tensor of the same elements: with the file's own bytes where they are of the weight's type, else with
 * its values in pieces. Never is there a second copy of a large weight.
 * @throws WeightsError for values that cannot be stored, and what the file throws.
 */
export async function fillQuantized(file: WeightsFile, tensor: string, weight: QuantizedWeight): Promise<void> {
  const dtype = file.tensors.get(tensor)?.dtype;
  const scaled = dtype === "I8" && file.metadata.quantized === "int8";
  if (weight.type === "float16" ? dtype !== "F16" : !scaled) {
    await weight.fill(async (begin, end) => {
      const floats = new Float32Array(end - begin);
      await file.readFloats(tensor, begin, floats);
      return floats;
    });
    return;
  }
  await weight.writeFrom(async (bytes) => {
    const elementBytes = bytes.length / weight.size;
    for (const [begin, end] of pieces(weight.shape)) {
      bytes.set(await file.readBytes(tensor, begin, end), begin * elementBytes);
    }
  });
  if (!scaled) return;
  const scales = new Float32Array(weight.scale.size);
  await file.readFloats(tensor + SCALE_SUFFIX, 0, scales);
  await weight.scale.write(scales);
}
