/**
 * Fills a net from a weights file: each tensor goes straight into the engine's memory, in pieces, permuted where the file has another
 * layout. What goes where is decided in plan-net.ts; here are only the copies.
 */
import { WeightsError } from "../core/errors.js";
import { sizeOf } from "../core/shape.js";
import type { StateTensor } from "../core/tensor.js";
import type { Stateful } from "../io/model-format.js";
import { fillQuantized } from "../io/quantized-state.js";
import type { TensorPlace, WeightsFile } from "../io/weights-file.js";
import { QuantizedWeight } from "../nn/quantized-linear.js";

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
    await fillTensor(file, place, tensor);
  }
}

/** Fills one tensor. @throws as {@link fillNet} does. */
export async function fillTensor(
  file: WeightsFile,
  place: NetTensorPlace,
  tensor: Pick<StateTensor, "shape" | "writeFrom">,
): Promise<void> {
  if (tensor instanceof QuantizedWeight) await fillInFewerBits(file, place, tensor);
  else await tensor.writeFrom((bytes) => fill(file, place, tensor.shape, floatsOf(bytes)));
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

/**
 * Reads the tensor in bands and puts each element where the permutation wants it. A band is the same few steps of the last but one axis in
 * all places of the axes before, so that what is written lies close together: of a fully connected layer's [7, 7, 512, 4096] to
 * [4096, 512, 7, 7], a few channels at all 49 places are a run of each output's row.
 */
async function copyPermuted(
  file: WeightsFile,
  tensor: string,
  view: readonly number[],
  axes: readonly number[],
  reversedAxis: number | undefined,
  out: Float32Array,
): Promise<void> {
  const { strides, begin } = targetStrides(view, axes, reversedAxis);
  const [steps, columns] = [view.at(-2) ?? 1, view.at(-1) ?? 1];
  const [stepStride, columnStride] = [strides.at(-2) ?? 0, strides.at(-1) ?? 1];
  const places = placesOf(view.slice(0, -2), strides, begin);
  const most = Math.min(steps, Math.max(1, Math.floor(CHUNK_ELEMENTS / (places.length * columns))));
  const chunk = new Float32Array(places.length * most * columns);
  for (let step = 0; step < steps; step += most) {
    const count = Math.min(most, steps - step);
    const rows: { readonly from: number; readonly to: number }[] = [];
    for (const [place, start] of places.entries()) {
      const from = place * count * columns;
      const values = chunk.subarray(from, from + count * columns);
      await file.readFloats(tensor, (place * steps + step) * columns, values);
      for (let i = 0; i < count; i++) rows.push({ from: from + i * columns, to: start + (step + i) * stepStride });
    }
    rows.sort((a, b) => a.to - b.to);
    for (let block = 0; block < columns; block += BLOCK) {
      const end = Math.min(columns, block + BLOCK);
      for (const row of rows) {
        let to = row.to + block * columnStride;
        for (let from = row.from + block; from < row.from + end; from++, to += columnStride) out[to] = chunk[from];
      }
    }
  }
}

/** Where the first element goes of each place of some axes, counted up from the back. */
function placesOf(sides: readonly number[], strides: readonly number[], begin: number): number[] {
  return sides.reduce(
    (starts, side, axis) =>
      starts.flatMap((start) => Array.from({ length: side }, (_, i) => start + i * strides[axis])),
    [begin],
  );
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
