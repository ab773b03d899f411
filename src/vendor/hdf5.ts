/**
 * Third-party code for HDF5 files, bundled at build time (scripts/build.js): jsfive's parser of their structure, with hdf5/view.ts in
 * place of DataView. Everything here is synchronous and throws whatever jsfive throws; formats/keras/hdf5.ts makes files and errors of it.
 */
import { File, type Group } from "jsfive";
import { BTreeV1RawDataChunks } from "jsfive-btree";
import { struct } from "jsfive-core";
import type { PagedFile } from "./hdf5/view.js";

export { budgetLeft, OverBudget, type PagedFile, setBudget, spend } from "./hdf5/view.js";

/** A piece of a data set's array. */
export interface Hdf5Chunk {
  readonly offset: number;
  readonly sizeBytes: number;
  /** Bit i: filter i was not used. */
  readonly mask: number;
  /** Index of its first element. */
  readonly begin: readonly number[];
}

/** Where a data set's array is. */
export type Hdf5Storage =
  | { readonly kind: "plain"; readonly offset: number | null; readonly sizeBytes: number }
  | {
      readonly kind: "chunks";
      readonly shape: readonly number[];
      readonly filters: readonly number[];
      readonly chunks: readonly Hdf5Chunk[];
    };

/** A data set. */
export interface Hdf5Layout {
  /** As jsfive spells it: "<f4"; null for what is no number. */
  readonly dtype: string | null;
  readonly shape: readonly number[];
  readonly storage: Hdf5Storage;
}

const DATASPACE = 1;
const EXTERNAL_FILES = 7;
const DATA_LAYOUT = 8;
/** 2^64 - 1 as a number. */
const NOWHERE = 2 ** 64;

/** A group or data set. */
export class Hdf5Object {
  private constructor(private readonly object: Group) {}

  /** The file's root. */
  static root(file: PagedFile): Hdf5Object {
    return new Hdf5Object(new File(file, ""));
  }

  /** Where it is in the file. */
  get address(): number {
    return this.object._dataobjects.offset;
  }

  /** Names of a group's parts and where they are; links to names are left out. */
  links(): [name: string, address: number][] {
    return Object.entries(this.object._links).flatMap(([name, address]): [string, number][] =>
      typeof address === "number" ? [[name, address]] : [],
    );
  }

  /** A part of a group. */
  part(name: string): Hdf5Object {
    return new Hdf5Object(this.object.get(name));
  }

  /** Whether it is a data set, and no group. */
  isDataset(): boolean {
    return this.object._dataobjects.is_dataset;
  }

  /** All attributes that jsfive can read. */
  attributes(): [name: string, value: unknown][] {
    return Object.entries(this.object._dataobjects.get_attributes());
  }

  /** Type, shape and storage of a data set. */
  layout(file: PagedFile): Hdf5Layout {
    const header = this.object._dataobjects;
    const { dtype } = header;
    // jsfive's own getter of the shape drops the upper halves of sides.
    const shape = header.determine_data_shape(file, offsetOf(header.find_msg_type(DATASPACE)[0]));
    if (header.find_msg_type(EXTERNAL_FILES).length > 0) throw new Error("its data are in another file");
    return { dtype: typeof dtype === "string" ? dtype : null, shape, storage: storageOf(header, file) };
  }
}

function storageOf(header: Group["_dataobjects"], file: PagedFile): Hdf5Storage {
  const message = offsetOf(header.find_msg_type(DATA_LAYOUT)[0]);
  const [version, , kind, at] = header._get_data_message_properties(message);
  if (kind === 0) {
    const [sizeBytes] = struct.unpack_from("<H", file, at);
    return { kind: "plain", offset: at + 2, sizeBytes };
  }
  if (kind === 1) {
    const [offset, sizeBytes] = struct.unpack_from("<QQ", file, at);
    // Before version 3 there are sides where the size is now.
    return {
      kind: "plain",
      offset: offset === NOWHERE ? null : offset,
      sizeBytes: version < 3 ? Number.NaN : sizeBytes,
    };
  }
  header._get_chunk_params();
  const { _chunks, _chunk_dims, _chunk_address } = header;
  if (kind !== 2 || _chunks === null || _chunk_dims === null || _chunk_address === null)
    throw new Error("unknown storage");
  const filters = (header.filter_pipeline ?? []).map((filter) => Number(filter.get("filter_id")));
  const chunks =
    _chunk_address === NOWHERE ? [] : chunksOf(new BTreeV1RawDataChunks(file, _chunk_address, _chunk_dims));
  return { kind: "chunks", shape: _chunks, filters, chunks };
}

function chunksOf(tree: BTreeV1RawDataChunks): Hdf5Chunk[] {
  return (tree.all_nodes.get(0) ?? []).flatMap((node) => {
    const [keys, addresses] = [node.get("keys"), node.get("addresses")];
    if (!Array.isArray(keys) || !Array.isArray(addresses)) throw new Error("a node without keys");
    return keys.map((key: unknown, i): Hdf5Chunk => {
      const begin = key instanceof Map ? key.get("chunk_offset") : undefined;
      if (!(key instanceof Map) || !Array.isArray(begin)) throw new Error("a key without place");
      const [sizeBytes, mask] = [Number(key.get("chunk_size")), Number(key.get("filter_mask"))];
      // The last number is an offset within the element: 0.
      return { offset: Number(addresses[i]), sizeBytes, mask, begin: begin.slice(0, -1).map(Number) };
    });
  });
}

function offsetOf(message: ReadonlyMap<string, number> | undefined): number {
  const offset = message?.get("offset_to_message");
  if (offset === undefined) throw new Error("a data set without shape or place");
  return offset;
}
