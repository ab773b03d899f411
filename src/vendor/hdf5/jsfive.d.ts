/** What vendor/hdf5.ts uses of jsfive, whose package has no types. */
declare module "jsfive" {
  type Message = ReadonlyMap<string, number>;

  class DataObjects {
    readonly offset: number;
    readonly msgs: readonly Message[];
    readonly dtype: unknown;
    readonly is_dataset: boolean;
    readonly filter_pipeline: readonly ReadonlyMap<string, unknown>[] | null;
    find_msg_type(type: number): readonly Message[];
    determine_data_shape(file: unknown, offset: number): readonly number[];
    get_attributes(): Readonly<Record<string, unknown>>;
    _get_data_message_properties(offset: number): readonly [number, number, number, number];
    _get_chunk_params(): void;
    readonly _chunks: readonly number[] | null;
    readonly _chunk_dims: number | null;
    readonly _chunk_address: number | null;
  }

  class Group {
    readonly _links: Readonly<Record<string, unknown>>;
    readonly _dataobjects: DataObjects;
    get(name: string): Group;
  }

  class File extends Group {
    constructor(bytes: unknown, name: string);
  }
}

declare module "jsfive-core" {
  const struct: { unpack_from(format: string, bytes: unknown, offset: number): readonly number[] };
}

declare module "jsfive-btree" {
  class BTreeV1RawDataChunks {
    constructor(file: unknown, address: number, dims: number);
    readonly all_nodes: ReadonlyMap<number, readonly ReadonlyMap<string, unknown>[]>;
  }
}
