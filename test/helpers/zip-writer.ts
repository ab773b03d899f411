/** Writes zip archives as PyTorch does, for tests: entries stored, their data aligned; on request with zip64's records or packed. Checksums are 0. */
import { deflateSync } from "fflate";

export interface ZipOptions {
  /** All numbers in the extra fields and records of zip64. */
  readonly zip64?: boolean;
  readonly packed?: boolean;
  /** Data begin at multiples of this. Default 64, as in PyTorch. */
  readonly align?: number;
}

/** Data of an entry that are made when they are written. */
export interface SizedChunks {
  readonly sizeBytes: number;
  readonly chunks: () => Iterable<Uint8Array>;
}

/** An archive of these entries, in this order. */
export function zipBytes(entries: ReadonlyMap<string, Uint8Array>, options: ZipOptions = {}): Uint8Array {
  return Buffer.concat([...zipParts(entries, options)]);
}

/** {@link zipBytes} in parts, for what does not fit into memory. Only data that are there can be packed. */
export function* zipParts(
  entries: ReadonlyMap<string, Uint8Array | SizedChunks>,
  { zip64 = false, packed = false, align = 64 }: ZipOptions = {},
): Generator<Uint8Array> {
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of entries) {
    const size = data instanceof Uint8Array ? data.length : data.sizeBytes;
    const stored = packed && data instanceof Uint8Array ? deflateSync(data) : data;
    const storedSize = stored instanceof Uint8Array ? stored.length : size;
    const label = Buffer.from(name);
    const padding = Buffer.alloc(4 + (align - 1 - ((offset + 30 + label.length + 3) % align)));
    padding.write("FB");
    padding.writeUInt16LE(padding.length - 4, 2);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(zip64 ? 45 : 20);
    common.writeUInt16LE(packed ? 8 : 0, 4);
    common.writeUInt32LE(zip64 ? 0xffffffff : storedSize, 14);
    common.writeUInt32LE(zip64 ? 0xffffffff : size, 18);
    common.writeUInt16LE(label.length, 22);
    const extra = zip64 ? numbers(1, [size, storedSize, offset]) : Buffer.alloc(0);
    common.writeUInt16LE(extra.length, 24);
    const attributes = Buffer.alloc(14);
    attributes.writeUInt32LE(zip64 ? 0xffffffff : offset, 10);
    directory.push(Buffer.from("PK\x01\x02\0\0", "latin1"), common, attributes, label, extra);
    const local = Buffer.from(common);
    local.writeUInt16LE(padding.length, 24);
    yield Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), local, label, padding]);
    if (stored instanceof Uint8Array) yield stored;
    else yield* stored.chunks();
    offset += 30 + label.length + padding.length + storedSize;
  }
  const list = Buffer.concat(directory);
  yield list;
  if (zip64) {
    const record = Buffer.alloc(56);
    record.write("PK\x06\x06", "latin1");
    for (const [i, value] of [44, 0, 0, entries.size, entries.size, list.length, offset].entries()) {
      if (i !== 1 && i !== 2) record.writeBigUInt64LE(BigInt(value), [4, 0, 0, 24, 32, 40, 48][i]);
    }
    const locator = Buffer.alloc(20);
    locator.write("PK\x06\x07", "latin1");
    locator.writeBigUInt64LE(BigInt(offset + list.length), 8);
    locator.writeUInt32LE(1, 16);
    yield record;
    yield locator;
  }
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(zip64 ? 0xffff : entries.size, 8);
  end.writeUInt16LE(zip64 ? 0xffff : entries.size, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : list.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  yield end;
}

function numbers(id: number, values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(id);
  field.writeUInt16LE(8 * values.length, 2);
  for (const [i, value] of values.entries()) field.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
  return field;
}
