/**
 * Reads MNIST (LeCun, Cortes and Burges) in its idx files, plain or gzipped (Node):
 *
 *     | 0 0 8 3 | count u32 | rows u32 | columns u32 | one byte a pixel |      images, big-endian
 *     | 0 0 8 1 | count u32 | one byte a label |                               labels
 *
 * The 28x28 grey pictures become 32x32 RGB, with two pixels of black on each side, so that they fit the nets that are made for such.
 */
import { createReadStream, type ReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { DataError } from "../core/errors.js";
import { errorCode } from "../io/atomic-file.js";
import { arrayDataset, type DataSplits, type Dataset, splitValidation, subset } from "./dataset.js";
import { splitThree, TEST_FRACTION } from "./split.js";

const DIGITS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const SIDE = 28;
const PADDED = 32;
const MARGIN = (PADDED - SIDE) / 2;
const IMAGES_MAGIC = 0x00000803;
const LABELS_MAGIC = 0x00000801;
/** MNIST has 60,000; some relatives in the same files, a few hundred thousand. */
const MAX_COUNT = 1_000_000;

/** What {@link mnist} takes; all optional. */
export interface MnistOptions {
  /** Of the choice of validation pictures. Default 1. */
  readonly seed?: number;
  /** Part of the pictures that are not for testing. Default 0.1. */
  readonly validationFraction?: number;
}

/**
 * Reads a directory with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each plain
 * or with `.gz`, also written with a `.` before `idx`. Without the training files the test pictures are split in three, and `notes` says so.
 * @throws DataError naming the file or directory that is missing, truncated, or no such file.
 */
export async function mnist(directory: string, options: MnistOptions = {}): Promise<DataSplits<Dataset>> {
  const { seed = 1, validationFraction = 0.1 } = options;
  const entries = await readdir(directory).catch((error: unknown) => {
    throw new DataError(
      `mnist: cannot be read (${directory} ${errorCode(error)}). Pass the directory that holds t10k-images-idx3-ubyte.gz.`,
    );
  });
  const find = (stem: string, dimensions: number): string | undefined => {
    const names = ["-", "."].flatMap((mark) => ["", ".gz"].map((end) => `${stem}${mark}idx${dimensions}-ubyte${end}`));
    const found = names.find((name) => entries.includes(name));
    return found === undefined ? undefined : path.join(directory, found);
  };
  const read = async (part: string, name: string): Promise<Dataset | undefined> => {
    const images = find(`${part}-images`, 3);
    const labels = find(`${part}-labels`, 1);
    if (images === undefined && labels === undefined) return undefined;
    if (images === undefined || labels === undefined) {
      const missing = images === undefined ? `${part}-images-idx3-ubyte` : `${part}-labels-idx1-ubyte`;
      throw new DataError(`mnist: a file is missing (${path.join(directory, missing)}). Download it too.`);
    }
    return readPart(name, images, labels);
  };

  const test = await read("t10k", "mnist test");
  if (test === undefined) {
    throw new DataError(
      `mnist: there are no test files (${directory} ${entries.length} entries, none t10k-images-idx3-ubyte). ` +
        "Pass the directory of MNIST's idx files.",
    );
  }
  const learn = await read("train", "mnist train");
  if (learn !== undefined) {
    const { train, validation } = splitValidation(learn, validationFraction, seed);
    return { train, validation: { ...validation, name: "mnist validation" }, test, notes: [] };
  }
  const parts = splitThree("mnist", test.labels, { seed, validationFraction, testFraction: TEST_FRACTION });
  const pick = (name: string, places: Int32Array): Dataset => ({ ...subset(test, places), name });
  return {
    train: pick("mnist train", parts.train),
    validation: pick("mnist validation", parts.validation),
    test: pick("mnist test", parts.test),
    notes: [
      `MNIST's training files are not in ${directory}: its ${test.labels.length} test pictures were split by the seed into ` +
        `${parts.train.length} to learn, ${parts.validation.length} to validate and ${parts.test.length} to test. ` +
        "Results are not comparable with those of the whole MNIST.",
    ],
  };
}

async function readPart(name: string, imagesFile: string, labelsFile: string): Promise<Dataset> {
  const labels = await readIdx(labelsFile, LABELS_MAGIC, 1);
  const pictures = await readIdx(imagesFile, IMAGES_MAGIC, 3);
  const [count] = pictures.sizes;
  if (labels.sizes[0] !== count) {
    throw new DataError(
      `mnist: there are not as many labels as pictures (${labelsFile} ${labels.sizes[0]}, ${imagesFile} ${count}). Download both again.`,
    );
  }
  const wrong = labels.data.findIndex((label) => label > 9);
  if (wrong >= 0) {
    throw new DataError(
      `mnist: a label is not 0 to 9 (${labelsFile} label ${wrong} is ${labels.data[wrong]}). Download it again.`,
    );
  }
  const plane = PADDED * PADDED;
  const images = new Uint8Array(count * 3 * plane);
  for (let i = 0; i < count; i++) {
    for (let row = 0; row < SIDE; row++) {
      const line = pictures.data.subarray((i * SIDE + row) * SIDE, (i * SIDE + row + 1) * SIDE);
      for (let c = 0; c < 3; c++) images.set(line, (i * 3 + c) * plane + (row + MARGIN) * PADDED + MARGIN);
    }
  }
  const size = { channels: 3, height: PADDED, width: PADDED };
  return arrayDataset({ name, classNames: DIGITS, ...size, images, labels: Uint16Array.from(labels.data) });
}

/** An idx file: its sizes, and its bytes behind them. */
async function readIdx(
  file: string,
  magic: number,
  dimensions: number,
): Promise<{ sizes: readonly number[]; data: Uint8Array }> {
  const headerBytes = 4 + 4 * dimensions;
  const chunks: Buffer[] = [];
  let length = 0;
  let sizes: readonly number[] | undefined;
  let expected = Number.POSITIVE_INFINITY;
  let refusal: DataError | undefined; // the pipeline may report its own end in place of the reason
  // Read as a stream, so that a small gz cannot become more in memory than its header admits to.
  const take = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) {
      chunks.push(chunk);
      length += chunk.length;
      if (sizes === undefined && length >= headerBytes) {
        sizes = readHeader(file, Buffer.concat(chunks), magic, dimensions);
        expected = headerBytes + sizes.reduce((product, size) => product * size, 1);
      }
      if (length > expected) {
        refusal = new DataError(
          `mnist: a file holds more than its header says (${file} expected ${expected} bytes). Download it again.`,
        );
        throw refusal;
      }
    }
  };
  try {
    const source: ReadStream = createReadStream(file);
    if (file.endsWith(".gz")) await pipeline(source, createGunzip(), take);
    else await pipeline(source, take);
  } catch (error) {
    if (error instanceof DataError) throw error;
    if (refusal !== undefined) throw refusal;
    throw new DataError(`mnist: a file cannot be read (${file} ${errorCode(error)}). Download it again.`);
  }
  if (sizes === undefined || length < expected) {
    const wanted = sizes === undefined ? headerBytes : expected;
    throw new DataError(`mnist: a file is truncated (${file} ${length} bytes, expected ${wanted}). Download it again.`);
  }
  return { sizes, data: Buffer.concat(chunks).subarray(headerBytes) };
}

function readHeader(file: string, bytes: Buffer, magic: number, dimensions: number): readonly number[] {
  const found = bytes.readUInt32BE(0);
  if (found !== magic) {
    throw new DataError(
      `mnist: this is no such idx file (${file} magic ${hex(found)}, expected ${hex(magic)}). Use the file of that name from MNIST.`,
    );
  }
  const sizes = Array.from({ length: dimensions }, (_, d) => bytes.readUInt32BE(4 + 4 * d));
  if (sizes[0] < 1 || sizes[0] > MAX_COUNT || sizes.slice(1).some((size) => size !== SIDE)) {
    throw new DataError(
      `mnist: the sizes are not those of MNIST (${file} ${sizes.join("x")}). Pass the directory of MNIST's idx files.`,
    );
  }
  return sizes;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
