/**
 * What every reader of a weights file gives, whatever the format: tensors by the file's names, and the net, where the format carries
 * it. Types only; open-weights.ts finds the format, load-net.ts builds the net.
 */

import type { LayerKind, Row } from "../models/net-config.js";
import type { Preprocessing, PreprocessingName } from "./preprocessing.js";

/** The formats that are read. */
export type WeightsFormat = "safetensors" | "pytorch" | "onnx" | "keras" | "tfjs" | "caffe";

/** Element types of stored tensors, as safetensors spells them. */
export type StoredDtype =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL";

/** A tensor in a file. */
export interface StoredTensor {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
}

/** An open weights file. */
export interface WeightsFile {
  readonly format: WeightsFormat;
  /** What kind of it, for people: "zip container", "opset 13", "weights only". */
  readonly variant: string;
  /** Path, address or other name, for errors. */
  readonly name: string;
  /** In the file's order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** What the file says about itself, as texts. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The net, where the format carries it; null for bare tensors. */
  readonly net: FileNet | null;
  /**
   * Fills the target with elements [begin, begin + target.length) of a tensor, counted over its flat row-major array, as float32 (halves
   * and integers are converted). The target may be shared memory, and be part of the engine's.
   * @throws WeightsError for an unknown name or a range outside of the tensor; DamagedFileError for a truncated file.
   */
  readFloats(name: string, begin: number, target: Float32Array): Promise<void>;
  /** {@link readFloats} without conversion: the bytes of elements [begin, end), little-endian, as {@link StoredTensor.dtype} says. */
  readBytes(name: string, begin: number, end: number): Promise<Uint8Array>;
  /** Closes all files. May be called twice. */
  close(): Promise<void>;
}

/** A net as a file describes it. */
export interface FileNet {
  /** [channels, height, width] of the input; a size of null is not fixed by the file. */
  readonly inputShape: readonly [number, number | null, number | null];
  /** Layers by the rows of net-config.ts, named as in the file. A soft-max at the very end is left out: nets give logits. */
  readonly rows: readonly Row[];
  /** Where each tensor of the net's state dictionary is, by its name there (`conv1_1.weight`). */
  readonly tensors: ReadonlyMap<string, TensorPlace>;
  /** Whether the file's net ends in a soft-max. */
  readonly softmax: boolean;
  /** Channels in the order that the file's input has them. Weights are as the file has them; the loader turns BGR to RGB. */
  readonly channelOrder: "RGB" | "BGR" | null;
  /** How pictures are prepared, where the file says so. */
  readonly preprocessing?: Preprocessing | PreprocessingName;
  /** What else the user should know: what of the file was left out. */
  readonly notes?: readonly string[];
  /** Names of the classes, where the file has them. */
  readonly classes: readonly string[] | null;
}

/** How one tensor of a net comes from a file. */
export type TensorPlace =
  | {
      /** The file's name of it. */
      readonly tensor: string;
      /** The shape to take the file's flat array by, if not its own. */
      readonly view?: readonly number[];
      /** Then: axis i of the result is axis permute[i] of that. HWIO to OIHW is [3, 2, 0, 1]. Default: as it is. */
      readonly permute?: readonly number[];
      /** Values are multiplied by this. Default 1. */
      readonly scale?: number;
    }
  /** Not in the file: all elements have this value. */
  | { readonly fill: number };

/** Kinds of layers that files name and the rows can say. */
export type RowKind = LayerKind["kind"];
