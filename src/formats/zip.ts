/**
 * Zip archives whose entries are read in ranges, from where they lie in the file: PyTorch's and Keras's containers. Only the directory is
 * read when one is opened. Stored entries are ranges of the file; packed ones are inflated as a whole, when they are asked for.
 *
 * ```text
 * | local header, name, extra | data | … | directory: an entry each | [zip64 record, locator] | end record |
 * ```
 * From APPNOTE.TXT, 4.3 and 4.5.3. Checksums are not compared: that would read everything twice.
 */
import { DamagedFileError, WeightsError } from "../core/errors.js";
import { type ByteReader, bytesReader } from "../io/byte-reader.js";

/** What the directory says of an entry. */
export interface ZipEntry {
  readonly sizeBytes: number;
  readonly storedBytes: number;
  /** 0 is stored, 8 deflate. */
  readonly method: number;
  readonly encrypted: boolean;
  /** Of its local header. */
  readonly offset: number;
}

/** An open archive. */
export interface Zip {
  /** By path, in the directory's order; folders are left out. */
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /**
   * An entry's bytes. Closing them does nothing: the archive's reader is closed by who opened it.
   * @throws WeightsError for an entry that is missing, encrypted or packed by another method; DamagedFileError for one that does not lie in the file.
   */
  open(name: string): Promise<FilePart>;
}

/** A range of a file, as a file. */
export interface FilePart extends ByteReader {
  /** Where it begins in the file; 0 for what was unpacked from it. */
  readonly begin: number;
}

const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const LOCATOR_BYTES = 20;
const RECORD_BYTES = 56;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
/** Directories of nets have some kilobytes. */
const MAX_DIRECTORY_BYTES = 2 ** 26;
/** Weights are noise, and their names gain less than this; deflate would gain up to 1032. */
const MAX_RATIO = 128;
const MAX_INFLATED_BYTES = 2 ** 31;
/** In fields of 4 bytes: the value is among the extra ones. */
const ELSEWHERE = 0xffffffff;

/** The four bytes that records begin with, as little-endian numbers. */
const SIGNATURE = { end: 0x06054b50, locator: 0x07064b50, record: 0x06064b50, entry: 0x02014b50, local: 0x04034b50 };

/** Reads and checks an archive's directory. @throws DamagedFileError */
export async function openZip(reader: ByteReader): Promise<Zip> {
  const { offset, sizeBytes, count } = await findDirectory(reader);
  if (sizeBytes > MAX_DIRECTORY_BYTES || offset + sizeBytes > reader.sizeBytes || count * ENTRY_BYTES > sizeBytes) {
    throw damaged(reader, `claims a directory that does not fit (${count} entries, ${sizeBytes} bytes)`, offset);
  }
  const entries = parseDirectory(await reader.read(offset, sizeBytes), count, offset, reader);
  const inflated = new Map<string, Promise<FilePart>>();
  let inflatedBytes = 0;
  // Entries may lie over each other in the file: what they unpack to in all is bounded too.
  const checkInflated = (name: string, { sizeBytes: size, storedBytes }: ZipEntry, begin: number): void => {
    if (size > MAX_INFLATED_BYTES || size > storedBytes * MAX_RATIO) {
      const what = `claims an entry of ${size} bytes from ${storedBytes} (entry ${JSON.stringify(name)})`;
      throw damaged(reader, what, begin);
    }
    inflatedBytes += size;
    if (inflatedBytes <= Math.min(MAX_INFLATED_BYTES, reader.sizeBytes * MAX_RATIO)) return;
    throw damaged(reader, `unpacks to more than it can hold (${inflatedBytes} bytes of ${reader.sizeBytes})`, offset);
  };
  return {
    entries,
    async open(name) {
      const entry = entries.get(name);
      if (!entry) {
        throw new WeightsError(
          `load: ${reader.name} lacks a part (entry ${JSON.stringify(name)}). Download or save the file again.`,
        );
      }
      if (entry.encrypted || (entry.method !== 0 && entry.method !== 8)) {
        throw new WeightsError(
          `load: ${reader.name} is ${entry.encrypted ? "encrypted" : "packed by an unknown method"} (entry ${JSON.stringify(name)}, method ${entry.method}). Save it without.`,
        );
      }
      const begin = await findData(reader, name, entry, offset);
      if (entry.method === 0) return partOf(reader, begin, entry.sizeBytes);
      const before = inflated.get(name);
      if (before) return before;
      checkInflated(name, entry, begin);
      const whole = inflate(reader, name, entry, begin);
      inflated.set(name, whole);
      // What failed may be asked for again: the connection may have broken.
      whole.catch(() => inflated.delete(name));
      return whole;
    },
  };
}

async function findDirectory(reader: ByteReader): Promise<{ offset: number; sizeBytes: number; count: number }> {
  const found = (await findEnd(reader, 0)) ?? (await findEnd(reader, MAX_COMMENT_BYTES));
  if (!found) throw damaged(reader, "ends before its directory", reader.sizeBytes);
  const { tail, tailOffset, end } = found;
  const locator = end - LOCATOR_BYTES;
  if (locator < 0 || tail.getUint32(locator, true) !== SIGNATURE.locator) {
    return {
      count: tail.getUint16(end + 10, true),
      sizeBytes: tail.getUint32(end + 12, true),
      offset: tail.getUint32(end + 16, true),
    };
  }
  const recordOffset = getUint64(tail, locator + 8);
  if (recordOffset + RECORD_BYTES > tailOffset + locator) {
    throw damaged(reader, "claims a directory behind its end", recordOffset);
  }
  const record = viewOf(await reader.read(recordOffset, RECORD_BYTES));
  if (record.getUint32(0, true) !== SIGNATURE.record) {
    throw damaged(reader, "has no directory where it says", recordOffset);
  }
  return { count: getUint64(record, 32), sizeBytes: getUint64(record, 40), offset: getUint64(record, 48) };
}

/** The end record, whose comment has at most these many bytes. Most have none; an address is to be asked for little. */
async function findEnd(
  reader: ByteReader,
  commentBytes: number,
): Promise<{ tail: DataView; tailOffset: number; end: number } | null> {
  const tailBytes = Math.min(reader.sizeBytes, LOCATOR_BYTES + END_BYTES + commentBytes);
  const tailOffset = reader.sizeBytes - tailBytes;
  const tail = viewOf(await reader.read(tailOffset, tailBytes));
  for (let end = tailBytes - END_BYTES; end >= 0; end--) {
    const isEnd = tail.getUint32(end, true) === SIGNATURE.end;
    if (isEnd && end + END_BYTES + tail.getUint16(end + 20, true) === tailBytes) return { tail, tailOffset, end };
  }
  return null;
}

function parseDirectory(
  bytes: Uint8Array,
  count: number,
  directoryOffset: number,
  reader: ByteReader,
): ReadonlyMap<string, ZipEntry> {
  const view = viewOf(bytes);
  const entries = new Map<string, ZipEntry>();
  const decoder = new TextDecoder();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + ENTRY_BYTES > bytes.length || view.getUint32(at, true) !== SIGNATURE.entry) {
      throw damaged(reader, `lacks an entry of its directory (entry ${i} of ${count})`, directoryOffset + at);
    }
    const nameEnd = at + ENTRY_BYTES + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    if (extraEnd > bytes.length) {
      throw damaged(reader, `ends inside an entry of its directory (entry ${i})`, directoryOffset + at);
    }
    const name = decoder.decode(bytes.subarray(at + ENTRY_BYTES, nameEnd));
    const entry = parseEntry(view, at, nameEnd, extraEnd);
    if (entries.has(name) || !entry || entry.offset > directoryOffset) {
      const what = entries.has(name) ? "lists an entry twice" : "has a wrong entry in its directory";
      throw damaged(reader, `${what} (entry ${JSON.stringify(name)})`, directoryOffset + at);
    }
    if (!name.endsWith("/")) entries.set(name, entry);
    at = extraEnd + view.getUint16(at + 32, true);
  }
  return entries;
}

/** Null where a value is said to be among the extra fields and is not. */
function parseEntry(view: DataView, at: number, extraBegin: number, extraEnd: number): ZipEntry | null {
  const large = largeFields(view, extraBegin, extraEnd);
  const field = (offset: number): number => {
    const value = view.getUint32(at + offset, true);
    return value === ELSEWHERE ? (large.shift() ?? Number.NaN) : value;
  };
  const method = view.getUint16(at + 10, true);
  const sizeBytes = field(24);
  const storedBytes = field(20);
  const offset = field(42);
  if (![sizeBytes, storedBytes, offset].every(Number.isSafeInteger) || (method === 0 && sizeBytes !== storedBytes)) {
    return null;
  }
  return { sizeBytes, storedBytes, method, encrypted: (view.getUint16(at + 8, true) & 1) !== 0, offset };
}

/** The numbers of the zip64 field, in its order: size, stored size, offset; those that the entry itself has are left out. */
function largeFields(view: DataView, begin: number, end: number): number[] {
  for (let at = begin; at + 4 <= end; ) {
    const next = at + 4 + view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1 && next <= end) {
      const count = Math.min(3, Math.floor((next - at - 4) / 8));
      return Array.from({ length: count }, (_, i) => getUint64(view, at + 4 + i * 8));
    }
    at = next;
  }
  return [];
}

/** The first byte of an entry's data: behind its local header, whose name and extra fields may be of other lengths. */
async function findData(reader: ByteReader, name: string, entry: ZipEntry, limit: number): Promise<number> {
  const label = `entry ${JSON.stringify(name)}`;
  const header = viewOf(await reader.read(entry.offset, LOCAL_BYTES));
  if (header.getUint32(0, true) !== SIGNATURE.local) {
    throw damaged(reader, `has no ${label} where its directory says`, entry.offset);
  }
  const begin = entry.offset + LOCAL_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  if (begin + entry.storedBytes > limit) {
    throw damaged(reader, `has an entry that reaches into its directory (${label}, ${entry.storedBytes} bytes)`, begin);
  }
  return begin;
}

async function inflate(reader: ByteReader, name: string, entry: ZipEntry, begin: number): Promise<FilePart> {
  const { sizeBytes, storedBytes } = entry;
  const label = `${reader.name}, ${name}`;
  const { inflateRaw } = await import("../vendor/inflate.js");
  let out: Uint8Array;
  try {
    out = inflateRaw(await reader.read(begin, storedBytes), new Uint8Array(sizeBytes));
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    throw damaged(reader, `cannot be unpacked (entry ${JSON.stringify(name)}: ${String(error)})`, begin);
  }
  if (out.length === sizeBytes) return { ...bytesReader(out, label), begin: 0 };
  throw damaged(reader, `unpacks to ${out.length} bytes of ${sizeBytes} (entry ${JSON.stringify(name)})`, begin);
}

/** A range of a file, as a file. Closing it does nothing. */
export function partOf(reader: ByteReader, begin: number, sizeBytes: number): FilePart {
  const check = (offset: number, wanted: number): number => {
    if (Number.isSafeInteger(offset) && offset >= 0 && wanted >= 0 && offset + wanted <= sizeBytes)
      return begin + offset;
    throw damaged(reader, `has a part that is too short (${wanted} bytes wanted of ${sizeBytes})`, begin + sizeBytes);
  };
  return {
    name: reader.name,
    sizeBytes,
    begin,
    read: async (offset, wanted) => reader.read(check(offset, wanted), wanted),
    readInto: async (offset, target) => reader.readInto(check(offset, target.byteLength), target),
    sibling: (name) => reader.sibling(name),
    async close() {},
  };
}

function damaged(reader: ByteReader, what: string, offset: number): DamagedFileError {
  return new DamagedFileError(`load: ${reader.name} ${what} (byte ${offset}). Download or save the file again.`);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Exact below 2^53; above, larger than any file. */
function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
