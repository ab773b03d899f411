/** Writes state dictionaries as torch.save() does since 1.6, in parts, for tests and measurements: float32 alone, a storage a tensor. */
import { type SizedChunks, zipParts } from "./zip-writer.js";

export interface TensorToSave {
  readonly name: string;
  readonly shape: readonly number[];
  readonly chunks: () => Iterable<Float32Array>;
}

/** The file, in parts. */
export function torchFile(tensors: readonly TensorToSave[]): Iterable<Uint8Array> {
  const entries = new Map<string, Uint8Array | SizedChunks>([["model/data.pkl", pickle(tensors)]]);
  for (const [i, { shape, chunks }] of tensors.entries()) {
    entries.set(`model/data/${i}`, { sizeBytes: 4 * elementsOf(shape), chunks: () => bytesOf(chunks()) });
  }
  entries.set("model/version", Buffer.from("3\n"));
  return zipParts(entries);
}

function pickle(tensors: readonly TensorToSave[]): Uint8Array {
  const parts = ["\x80\x02ccollections\nOrderedDict\n)R("];
  for (const [i, { name, shape }] of tensors.entries()) {
    const strides = shape.map((_, axis) => elementsOf(shape.slice(axis + 1)));
    const storage = `(${text("storage")}ctorch\nFloatStorage\n${text(String(i))}${text("cpu")}${int(elementsOf(shape))}tQ`;
    const sizes = `(${shape.map(int).join("")}t(${strides.map(int).join("")}t`;
    parts.push(
      `${text(name)}ctorch._utils\n_rebuild_tensor_v2\n(${storage}${int(0)}${sizes}\x89ccollections\nOrderedDict\n)RtR`,
    );
  }
  return Buffer.from(`${parts.join("")}u.`, "latin1");
}

function text(value: string): string {
  return `X${uint32(value.length)}${value}`;
}

function int(value: number): string {
  return `J${uint32(value)}`;
}

function uint32(value: number): string {
  return String.fromCharCode(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function* bytesOf(chunks: Iterable<Float32Array>): Generator<Uint8Array> {
  for (const { buffer, byteOffset, byteLength } of chunks) yield new Uint8Array(buffer, byteOffset, byteLength);
}
