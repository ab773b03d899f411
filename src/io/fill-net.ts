/**
 * Fills a net from a weights file: each tensor goes straight into the engine's memory, in pieces, permuted where the file has another
 * layout. What goes where is decided in plan-net.ts; here are only the copies.
 */
import { WeightsError } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import { QuantizedWeight } from "../nn/quantized-linear.js";
import type { Stateful } from "./model-format.js";
import { fillQuantized } from "./quantized-state.js";
import type { TensorPlace, WeightsFile } from "./weights-file.js";

/** A place, and whether an axis of the result runs backwards: BGR to RGB. */
export type NetTensorPlace = TensorPlace & { readonly reversedAxis?: number };

/** What is read at once of a tensor that is permuted: 4 MiB. */
const CHUNK_ELEMENTS = 1 << 20;

/** Columns that are copied together, so that lines of the cache are used whole. */
const BLOCK = 16;

/**
 * Fills a model; names and shapes have been checked.
 * @throws WeightsError where the file gives another number of elements; DamagedFileError for a truncated one.
 */
export async function fillNet(
  file: WeightsFile,
  model: Stateful,
  places: ReadonlyMap<string, NetTensorPlace>,
): Promise<void> {
  for (const [name, tensor] of model.stateDict()) {
    const place = places.get(name);
    if (!place) {
      throw new WeightsError(
        `load: ${file.name} lacks a tensor of the net (missing ${name} [${tensor.shape}]). Use the net that the file was saved from.`,
      );
    }
    if (tensor instanceof QuantizedWeight) await fillInFewerBits(file, place, tensor);
    else await tensor.writeFrom((bytes) => fill(file, place, tensor.shape, floatsOf(bytes)));
  }
}

/** In pieces, or as it is in the file; where the file has another layout, by way of all of its values as float32. */
async function fillInFewerBits(file: WeightsFile, place: NetTensorPlace, weight: QuantizedWeight): Promise<void> {
  if (!("fill" in place) && !place.permute && place.reversedAxis === undefined && (place.scale ?? 1) === 1) {
    checkSize(file, place.tensor, place.view ?? file.tensors.get(place.tensor)?.shape ?? [], weight.shape);
    await fillQuantized(file, place.tensor, weight);
    return;
  }
  const floats = new Float32Array(weight.size);
  await fill(file, place, weight.shape, floats);
  await weight.write(floats);
}

async function fill(
  file: WeightsFile,
  place: NetTensorPlace,
  shape: readonly number[],
  out: Float32Array,
): Promise<void> {
  if ("fill" in place) {
    out.fill(place.fill);
    return;
  }
  const view = place.view ?? file.tensors.get(place.tensor)?.shape ?? [];
  checkSize(file, place.tensor, view, shape);
  const { permute, reversedAxis, scale = 1 } = place;
  if (permute === undefined && reversedAxis === undefined) {
    await file.readFloats(place.tensor, 0, out);
  } else {
    // Without a permutation the file's array is of the net's shape, to which the reversed axis belongs.
    const source = permute === undefined ? shape : view;
    await copyPermuted(file, place.tensor, source, permute ?? shape.map((_, axis) => axis), reversedAxis, out);
  }
  if (scale !== 1) for (let i = 0; i < out.length; i++) out[i] *= scale;
}

function checkSize(file: WeightsFile, tensor: string, view: readonly number[], shape: readonly number[]): void {
  if (sizeOf(view) === sizeOf(shape)) return;
  throw new WeightsError(
    `load: a tensor of ${file.name} does not fill the net's (${tensor} [${file.tensors.get(tensor)?.shape}], net [${shape}]). ` +
      "Use the net that the file was saved from.",
  );
}

/** Reads the tensor in chunks of whole rows (of its last axis) and puts each element where the permutation wants it. */
async function copyPermuted(
  file: WeightsFile,
  tensor: string,
  view: readonly number[],
  axes: readonly number[],
  reversedAxis: number | undefined,
  out: Float32Array,
): Promise<void> {
  const { strides, begin } = targetStrides(view, axes, reversedAxis);
  const columns = view.at(-1) ?? 1;
  const columnStride = strides.at(-1) ?? 1;
  const rows = out.length / columns;
  const rowsAtOnce = Math.max(1, Math.floor(CHUNK_ELEMENTS / columns));
  const chunk = new Float32Array(Math.min(rows, rowsAtOnce) * columns);
  const starts = new Float64Array(Math.min(rows, rowsAtOnce));
  const place = new Array<number>(view.length - 1).fill(0);
  let start = begin;
  for (let row = 0; row < rows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - row);
    const values = chunk.subarray(0, count * columns);
    await file.readFloats(tensor, row * columns, values);
    for (let r = 0; r < count; r++) {
      starts[r] = start;
      // The next row: counts up the axes before the last, from the back.
      for (let axis = place.length - 1; axis >= 0; axis--) {
        start += strides[axis];
        if (++place[axis] < view[axis]) break;
        start -= strides[axis] * view[axis];
        place[axis] = 0;
      }
    }
    for (let block = 0; block < columns; block += BLOCK) {
      const end = Math.min(columns, block + BLOCK);
      for (let r = 0; r < count; r++) {
        let to = starts[r] + block * columnStride;
        for (let from = r * columns + block; from < r * columns + end; from++, to += columnStride)
          out[to] = values[from];
      }
    }
  }
}

/** For each axis of the view, how far a step along it moves in the result; and where the first element goes. */
function targetStrides(
  view: readonly number[],
  axes: readonly number[],
  reversedAxis: number | undefined,
): { strides: number[]; begin: number } {
  const strides = new Array<number>(view.length).fill(0);
  let stride = 1;
  let begin = 0;
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    const source = axes[axis];
    const reversed = axis === reversedAxis;
    strides[source] = reversed ? -stride : stride;
    if (reversed) begin = (view[source] - 1) * stride;
    stride *= view[source];
  }
  return { strides, begin };
}

/** The engine's tensors begin at multiples of four bytes. */
function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}
