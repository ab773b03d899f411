/**
 * Files of torch.save(): opens the container, reads the pickle without running anything (pickle.ts, torch-objects.ts), finds the state
 * dictionary (torch-state.ts), and reads tensors from where they lie. Storages are not read before they are asked for.
 *
 * ```text
 * since 1.6   zip: <root>/data.pkl | <root>/data/<key>, stored, aligned to 64 bytes | <root>/byteorder | <root>/version
 * before      stream of pickles: magic, 1001, sizes of types, the object, keys | for each key: count as int64, elements
 * 2016        tar: refused
 * ```
 */
import { DamagedFileError, WeightsError } from "../../core/errors.js";
import { type ByteReader, checkRange } from "../../io/byte-reader.js";
import { readStoredFloats, storedSize } from "../../io/stored-floats.js";
import type { WeightsFile } from "../../io/weights-file.js";
import { openZip, partOf } from "../zip.js";
import { PickleCut, PickleDict, unpickle } from "./pickle.js";
import { isContiguous, storageRuns } from "./strided.js";
import { type TorchStorage, type TorchTensor, torchHost } from "./torch-objects.js";
import { findState } from "./torch-state.js";

/** What torch writes first into its older container. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
/** Pickles of nets have some kilobytes. */
const MAX_PICKLE_BYTES = 2 ** 26;
const FIRST_PICKLE_BYTES = 2 ** 16;
/** Elements of a storage that are read at once where their order changes. */
const CHUNK_ELEMENTS = 2 ** 20;
const REMEDY = "Download or save the file again.";

/** An opened container. */
interface Container {
  readonly variant: string;
  readonly value: unknown;
  /** Bytes of a storage, by its key. */
  storage(key: string): Promise<ByteReader>;
}

/**
 * Opens a PyTorch file.
 * @throws WeightsError that names what the file asks for beside tensors, or says that it holds none; DamagedFileError for a truncated or malformed
 *     one, with the offset.
 */
export async function openPytorch(reader: ByteReader): Promise<WeightsFile> {
  const file = reader.name;
  const container = await openContainer(reader);
  const state = findState(container.value, file);
  const { taken, stripped, tensors } = state;
  const find = (name: string, begin: number, end: number): TorchTensor => {
    const tensor = tensors.get(name);
    if (!tensor) {
      throw new WeightsError(
        `pytorch: ${file} has no such tensor (name ${JSON.stringify(name)}). Read one of the names in tensors.`,
      );
    }
    const elements = tensor.shape.reduce((product, size) => product * size, 1);
    if (Number.isInteger(begin) && Number.isInteger(end) && begin >= 0 && end >= begin && end <= elements)
      return tensor;
    throw new WeightsError(
      `pytorch: the range is outside the tensor (tensor ${JSON.stringify(name)}, range ${begin} to ${end}, elements ${elements}). ` +
        "Pass 0 <= begin <= end <= elements.",
    );
  };
  return {
    format: "pytorch",
    variant: container.variant,
    name: file,
    tensors: new Map([...tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    metadata: Object.fromEntries([
      ...state.beside,
      ["container", container.variant],
      ...(taken === "" ? [] : [["taken", taken]]),
      ...(stripped === "" ? [] : [["stripped", stripped]]),
    ]),
    net: null,
    async readFloats(name, begin, target) {
      const tensor = find(name, begin, begin + target.length);
      const storage = await container.storage(tensor.storage);
      const { dtype, offset } = tensor;
      if (isContiguous(tensor)) {
        await readStoredFloats(storage, dtype, (offset + begin) * storedSize(dtype), target);
      } else {
        const read = async (from: number, count: number): Promise<Float32Array> => {
          const floats = new Float32Array(count);
          await readStoredFloats(storage, dtype, from * storedSize(dtype), floats);
          return floats;
        };
        await gather(tensor, begin, target.length, 1, read, target, file);
      }
    },
    async readBytes(name, begin, end) {
      const tensor = find(name, begin, end);
      const storage = await container.storage(tensor.storage);
      const size = storedSize(tensor.dtype);
      if (isContiguous(tensor)) return storage.read((tensor.offset + begin) * size, (end - begin) * size);
      const read = (from: number, count: number): Promise<Uint8Array> => storage.read(from * size, count * size);
      const bytes = new Uint8Array((end - begin) * size);
      await gather(tensor, begin, end - begin, size, read, bytes, file);
      return bytes;
    },
    close: () => reader.close(),
  };
}

/**
 * Reads a storage from front to back, in chunks, and puts each element where it belongs.
 * @param width numbers an element has in the arrays.
 */
async function gather<T extends Float32Array | Uint8Array>(
  tensor: TorchTensor,
  begin: number,
  count: number,
  width: number,
  read: (from: number, count: number) => Promise<T>,
  target: T,
  file: string,
): Promise<void> {
  if (count === 0) return;
  const runs = storageRuns(tensor, begin, begin + count);
  if (!runs) {
    throw new WeightsError(
      `pytorch: a tensor of ${file} overlaps itself ([${tensor.shape}], stride [${tensor.stride}]). Save it as tensor.contiguous().`,
    );
  }
  const limit = lastElement(tensor) + 1;
  let chunk: T | undefined;
  let chunkBegin = 0;
  let chunkEnd = 0;
  for (const run of runs) {
    for (let i = 0; i < run.count; ) {
      const from = run.from + i * run.fromStep;
      if (chunk === undefined || from >= chunkEnd) {
        chunkBegin = from;
        chunkEnd = Math.min(limit, from + CHUNK_ELEMENTS);
        chunk = await read(chunkBegin, chunkEnd - chunkBegin);
      }
      const inChunk = run.fromStep === 0 ? run.count : Math.ceil((chunkEnd - run.from) / run.fromStep);
      const end = Math.min(run.count, inChunk);
      for (; i < end; i++) {
        const to = run.to + i * run.toStep - begin;
        if (to < 0 || to >= count) continue;
        const at = run.from + i * run.fromStep - chunkBegin;
        for (let k = 0; k < width; k++) target[to * width + k] = chunk[at * width + k];
      }
    }
  }
}

function lastElement({ offset, shape, stride }: TorchTensor): number {
  return shape.reduce((sum, size, axis) => sum + (size - 1) * stride[axis], offset);
}

async function openContainer(reader: ByteReader): Promise<Container> {
  const head = await reader.read(0, Math.min(512, reader.sizeBytes));
  const text = Array.from(head, (byte) => String.fromCharCode(byte)).join("");
  if (text.startsWith("PK")) return openZipContainer(reader);
  if (text.slice(257, 262) === "ustar") {
    throw new WeightsError(
      `pytorch: ${reader.name} is of PyTorch's first years (a tar file). Load it with PyTorch and save it again: torch.save(torch.load(path), path).`,
    );
  }
  return openStream(reader);
}

async function openZipContainer(reader: ByteReader): Promise<Container> {
  const file = reader.name;
  const zip = await openZip(reader);
  const main = [...zip.entries.keys()].find((name) => /^(?:.*\/)?data\.pkl$/.test(name));
  if (main === undefined) {
    throw new WeightsError(
      `pytorch: ${file} is a zip file without a pickle (entry data.pkl). It is of another program.`,
    );
  }
  const root = main.slice(0, -"data.pkl".length);
  if (zip.entries.has(`${root}constants.pkl`)) {
    throw new WeightsError(
      `pytorch: ${file} holds a TorchScript program. Nothing of it was run. Save its tensors alone: torch.save(model.state_dict(), path).`,
    );
  }
  if (zip.entries.has(`${root}byteorder`)) {
    const part = await zip.open(`${root}byteorder`);
    const order = new TextDecoder().decode(await part.read(0, Math.min(part.sizeBytes, 16)));
    if (order !== "little") {
      throw new WeightsError(
        `pytorch: ${file} has another order of bytes (byteorder ${JSON.stringify(order)}). Save it on a little-endian machine.`,
      );
    }
  }
  const part = await zip.open(main);
  if (part.sizeBytes > MAX_PICKLE_BYTES) throw tooLarge(file, part.sizeBytes);
  const bytes = await part.read(0, part.sizeBytes);
  let pickle: Pickle;
  try {
    pickle = readPickle(bytes, file, part.begin);
  } catch (error) {
    throw error instanceof PickleCut ? cut(file, error) : error;
  }
  checkStorages(pickle.storages, (key) => zip.entries.get(`${root}data/${key}`)?.sizeBytes, file, part.begin);
  const opened = new Map<string, Promise<ByteReader>>();
  return {
    variant: "zip container",
    value: pickle.value,
    storage(key) {
      const promise = opened.get(key) ?? zip.open(`${root}data/${key}`);
      opened.set(key, promise);
      // A failure may pass: of the network.
      promise.catch(() => opened.delete(key));
      return promise;
    },
  };
}

async function openStream(reader: ByteReader): Promise<Container> {
  const file = reader.name;
  const magic = await nextPickle(reader, 0);
  if (magic.value !== MAGIC) {
    throw new WeightsError(
      `pytorch: ${file} is a pickle, but none of torch.save() (byte 0). Save it with torch.save().`,
    );
  }
  const version = await nextPickle(reader, magic.end);
  if (version.value !== PROTOCOL) {
    throw new WeightsError(
      `pytorch: ${file} is of an unknown version (version ${typeof version.value === "number" ? version.value : "none"}, byte ${magic.end}). Save it again.`,
    );
  }
  const system = await nextPickle(reader, version.end);
  if (system.value instanceof PickleDict && system.value.entries.get("little_endian") === false) {
    throw new WeightsError(`pytorch: ${file} has another order of bytes. Save it on a little-endian machine.`);
  }
  const object = await nextPickle(reader, system.end);
  const keys = await nextPickle(reader, object.end);
  const places = await placeStorages(reader, keys, object.storages);
  checkStorages(object.storages, (key) => places.get(key)?.sizeBytes, file, system.end);
  return {
    variant: "legacy container",
    value: object.value,
    async storage(key) {
      const place = places.get(key);
      if (place) return place;
      throw new DamagedFileError(`pytorch: ${file} lacks a storage (key ${JSON.stringify(key)}). ${REMEDY}`);
    },
  };
}

/** The next pickle of a stream. How long it is shows only when it is read: more of the file is taken until it ends. */
async function nextPickle(reader: ByteReader, at: number): Promise<Pickle> {
  for (let size = FIRST_PICKLE_BYTES; ; size *= 8) {
    const rest = reader.sizeBytes - at;
    const taken = Math.min(size, rest, MAX_PICKLE_BYTES);
    try {
      return readPickle(await reader.read(at, taken), reader.name, at);
    } catch (error) {
      if (!(error instanceof PickleCut)) throw error;
      if (taken === rest) throw cut(reader.name, error);
      if (taken === MAX_PICKLE_BYTES) throw tooLarge(reader.name, rest);
    }
  }
}

interface Pickle {
  readonly value: unknown;
  /** In the file. */
  readonly end: number;
  /** What it says of storages, by their keys. */
  readonly storages: ReadonlyMap<string, TorchStorage>;
}

/** @throws PickleCut where the bytes end first. */
function readPickle(bytes: Uint8Array, file: string, base: number): Pickle {
  const host = torchHost(file);
  const { value, end } = unpickle(bytes, host, base);
  return { value, end: base + end, storages: host.storages };
}

/** Where each storage of a stream lies: one after the other, each behind its number of elements. */
async function placeStorages(
  reader: ByteReader,
  { value: keys, end }: Pickle,
  storages: ReadonlyMap<string, TorchStorage>,
): Promise<ReadonlyMap<string, ByteReader>> {
  const file = reader.name;
  if (!Array.isArray(keys)) {
    throw new DamagedFileError(`pytorch: ${file} lacks the list of its storages (byte ${end}). ${REMEDY}`);
  }
  const places = new Map<string, ByteReader>();
  let at = end;
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (!storage) {
      throw new DamagedFileError(`pytorch: ${file} lists a storage that no tensor has (byte ${at}). ${REMEDY}`);
    }
    const count = await reader.read(at, 8);
    const elements = Number(new DataView(count.buffer, count.byteOffset, 8).getBigUint64(0, true));
    const sizeBytes = elements * elementBytes(storage);
    checkRange(file, reader.sizeBytes, at + 8, sizeBytes);
    places.set(storage.key, partOf(reader, at + 8, sizeBytes));
    at += 8 + sizeBytes;
  }
  return places;
}

/** All storages must be as large as the pickle says. */
function checkStorages(
  storages: ReadonlyMap<string, TorchStorage>,
  sizeOf: (key: string) => number | undefined,
  file: string,
  at: number,
): void {
  for (const [key, storage] of storages) {
    const wanted = (storage.begin + storage.elements) * elementBytes(storage);
    const found = sizeOf(key);
    if (found !== undefined && found >= wanted) continue;
    throw new DamagedFileError(
      `pytorch: a storage in ${file} is ${found === undefined ? "missing" : "too short"} (key ${JSON.stringify(key)}, ${found ?? 0} bytes, the pickle at byte ${at} says ${wanted}). ${REMEDY}`,
    );
  }
}

function elementBytes({ dtype }: TorchStorage): number {
  return dtype === null ? 1 : storedSize(dtype);
}

function cut(file: string, { message }: PickleCut): DamagedFileError {
  return new DamagedFileError(`pytorch: ${file} ends inside its pickle (it ${message}). ${REMEDY}`);
}

function tooLarge(file: string, sizeBytes: number): WeightsError {
  return new WeightsError(
    `pytorch: the pickle of ${file} is too large (${sizeBytes} bytes, limit ${MAX_PICKLE_BYTES}). It is no state dictionary.`,
  );
}
