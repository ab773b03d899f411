/**
 * Opens a weights file of any format: finds the format by what is in the file, and by its name where that has no mark. Readers are loaded
 * when a file needs them. What they give is weights-file.ts's; the net is load-net.ts's.
 */
import { WeightsError } from "../core/errors.js";
import type { ByteReader } from "../io/byte-reader.js";
import type { WeightsFile } from "../io/weights-file.js";
import { openZip } from "./zip.js";

/** What a format is known by. */
export interface FormatSigns {
  /** The file's first bytes: {@link HEAD_BYTES}, or all of a smaller file. */
  readonly head: Uint8Array;
  /** The same as text, one character a byte. */
  readonly text: string;
  /** Paths in a zip archive; none for other files. */
  readonly entries: readonly string[];
  /** The file's name in small letters, without folders. */
  readonly name: string;
}

interface Format {
  /** For people: formats that are known, in errors. */
  readonly name: string;
  matches(signs: FormatSigns): boolean;
  open(reader: ByteReader): Promise<WeightsFile>;
}

const HEAD_BYTES = 4096;

/** Tags of the fields that may follow ONNX's first one. */
const ONNX_SECOND = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];

/** In the order in which they are tried: those with a mark first. */
const FORMATS: readonly Format[] = [
  {
    name: "safetensors",
    // The length of the header is below 2^32, and the header is an object.
    matches: ({ text }) => text.slice(4, 9) === "\0\0\0\0{",
    open: async (reader) => (await import("../io/safetensors-format.js")).openSafetensorsFile(reader),
  },
  {
    name: "PyTorch (.pth, .pt)",
    // A zip file, a pickle of torch.save() before 1.6, and the tar files before those.
    matches: ({ text, head, entries }) =>
      entries.some((entry) => entry.endsWith("data.pkl")) ||
      (head[0] === 0x80 && head[1] >= 2 && head[1] <= 5) ||
      text.slice(257, 262) === "ustar",
    open: async (reader) => (await import("./pytorch/pytorch.js")).openPytorch(reader),
  },
  {
    name: "safetensors in several files (index.json)",
    matches: ({ text, name }) => /^\s*\{/.test(text) && (/"weight_map"/.test(text) || /\.index\.json$/.test(name)),
    open: async (reader) => (await import("../io/safetensors-shards.js")).openSafetensorsIndex(reader),
  },
  {
    name: "Keras (.h5)",
    matches: ({ text }) => text.startsWith("\x89HDF\r\n\x1a\n"),
    open: async (reader) => (await import("./keras/keras.js")).openKerasH5(reader),
  },
  {
    name: "Keras 3 (.keras)",
    matches: ({ entries }) => entries.includes("config.json"),
    open: async (reader) => (await import("./keras/keras.js")).openKerasArchive(reader),
  },
  {
    name: "TensorFlow.js layers (model.json)",
    matches: ({ text, name }) =>
      /^\s*\{/.test(text) && (/"(modelTopology|weightsManifest)"/.test(text) || /^model.*\.json$/.test(name)),
    open: async (reader) => (await import("./tfjs/tfjs.js")).openTfjs(reader),
  },
  {
    name: "ONNX",
    // The version of the format is the first field: a small number.
    matches: ({ head, name }) =>
      name.endsWith(".onnx") || (head[0] === 8 && head[1] < 32 && ONNX_SECOND.includes(head[2])),
    open: async (reader) => (await import("./onnx/onnx.js")).openOnnx(reader),
  },
  {
    name: "Caffe (.caffemodel)",
    matches: ({ name }) => name.endsWith(".caffemodel"),
    open: async (reader) => (await import("./caffe/caffe.js")).openCaffe(reader),
  },
];

/**
 * Opens a weights file. The reader is closed with it, and where it cannot be opened.
 * @throws WeightsError for a file of no known format, and what the format's reader throws.
 */
export async function openWeights(reader: ByteReader): Promise<WeightsFile> {
  try {
    const head = await reader.read(0, Math.min(HEAD_BYTES, reader.sizeBytes));
    const text = Array.from(head, (byte) => String.fromCharCode(byte)).join("");
    const name = reader.name.replace(/^.*[\\/]/, "").toLowerCase();
    const entries = text.startsWith("PK\x03\x04") ? [...(await openZip(reader)).entries.keys()] : [];
    const format = FORMATS.find(({ matches }) => matches({ head, text, entries, name }));
    if (format) return await format.open(reader);
    throw new WeightsError(
      `load: ${reader.name} is of no known format (${reader.sizeBytes} bytes, the first ${hex(head)}). ` +
        `Known are ${FORMATS.map((known) => known.name).join(", ")}.`,
    );
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function hex(head: Uint8Array): string {
  return Array.from(head.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(" ") || "none";
}
