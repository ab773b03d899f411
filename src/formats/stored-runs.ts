/**
 * Tensors that lie in a file as one run of elements or several, as protobuf files may have them. Reads ranges of them; conversion is
 * stored-floats.ts's, and where a format's tensors are, its reader's.
 */
import { DamagedFileError, WeightsError } from "../core/errors.js";
import type { ByteReader } from "../io/byte-reader.js";
import { checkElements, floatsFromStored, readStoredFloats, storedSize } from "../io/stored-floats.js";
import type { StoredTensor, WeightsFile } from "../io/weights-file.js";
import type { Part } from "./protobuf.js";

/** Elements one after the other, or with something between them. */
export interface Run {
  readonly reader: ByteReader;
  readonly offset: number;
  readonly count: number;
  /** From one element to the next. */
  readonly strideBytes: number;
}

/** A tensor, and where its elements are. */
export interface RunTensor extends StoredTensor {
  readonly runs: readonly Run[];
}

/** The reading half of a WeightsFile, of tensors in runs. */
export function runReads(
  file: string,
  tensors: ReadonlyMap<string, RunTensor>,
): Pick<WeightsFile, "readFloats" | "readBytes"> {
  const wanted = (name: string, begin: number, end: number): { tensor: RunTensor; runs: Run[] } => {
    const tensor = tensors.get(name);
    if (!tensor) {
      throw new WeightsError(
        `load: ${file} has no such tensor (name ${JSON.stringify(name)}). Ask for one that is listed.`,
      );
    }
    checkElements(file, name, tensor.shape, begin, end);
    return { tensor, runs: partOf(tensor, begin, end) };
  };
  return {
    async readFloats(name, begin, target) {
      const { tensor, runs } = wanted(name, begin, begin + target.length);
      let done = 0;
      for (const run of runs) {
        const part = target.subarray(done, done + run.count);
        done += run.count;
        if (run.strideBytes === storedSize(tensor.dtype)) {
          await readStoredFloats(run.reader, tensor.dtype, run.offset, part);
        } else floatsFromStored(tensor.dtype, await readRun(run, storedSize(tensor.dtype)), part);
      }
    },
    async readBytes(name, begin, end) {
      const { tensor, runs } = wanted(name, begin, end);
      const size = storedSize(tensor.dtype);
      const bytes = new Uint8Array((end - begin) * size);
      let done = 0;
      for (const run of runs) {
        bytes.set(await readRun(run, size), done);
        done += run.count * size;
      }
      return bytes;
    },
  };
}

/**
 * Runs of what a message's repeated field of fixed-size numbers holds: packed, in one piece or several, or each with a tag of its own.
 * @throws DamagedFileError for a piece that is no whole number of elements.
 */
export function runsOf(reader: ByteReader, parts: readonly Part[], elementBytes: number): Run[] {
  const runs: Run[] = [];
  for (const { offset, sizeBytes, headBytes, delimited } of parts) {
    const count = sizeBytes / elementBytes;
    if (!Number.isInteger(count)) {
      throw new DamagedFileError(
        `load: ${reader.name} is damaged (${sizeBytes} bytes as elements of ${elementBytes}, at byte ${offset}). Download or save the file again.`,
      );
    }
    const strideBytes = delimited ? elementBytes : elementBytes + headBytes;
    const last = runs.at(-1);
    if (last?.strideBytes === strideBytes && last.offset + last.count * strideBytes === offset) {
      runs[runs.length - 1] = { ...last, count: last.count + count };
    } else if (count > 0) runs.push({ reader, offset, count, strideBytes });
  }
  return runs;
}

/** @throws DamagedFileError where the runs have not as many elements as the shape says. */
export function checkRuns(file: string, name: string, { shape, runs }: RunTensor): void {
  const stored = runs.reduce((sum, { count }) => sum + count, 0);
  if (stored === shape.reduce((product, side) => product * side, 1)) return;
  throw new DamagedFileError(
    `load: a tensor of ${file} has not as many elements as its shape says (${name} [${shape}], elements ${stored}, byte ${runs[0]?.offset}). Download or save the file again.`,
  );
}

function partOf({ runs }: RunTensor, begin: number, end: number): Run[] {
  let first = 0;
  const parts: Run[] = [];
  for (const run of runs) {
    const from = Math.max(begin - first, 0);
    const to = Math.min(end - first, run.count);
    if (from < to) parts.push({ ...run, offset: run.offset + from * run.strideBytes, count: to - from });
    first += run.count;
  }
  return parts;
}

async function readRun({ reader, offset, count, strideBytes }: Run, size: number): Promise<Uint8Array> {
  const bytes = await reader.read(offset, (count - 1) * strideBytes + size);
  if (strideBytes === size) return bytes;
  const packed = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) packed.set(bytes.subarray(i * strideBytes, i * strideBytes + size), i * size);
  return packed;
}
