/**
 * Protobuf files that are too large for memory: cuts large fields out of a message, by where they are, and decodes the small rest. Knows
 * the wire format and no message; those are onnx-proto.ts's and caffe-proto.ts's. Next layer down: byte-reader.ts, and pbf for the rest.
 *
 * ```text
 * message = | tag | value | tag | value | …      tag = varint of 8 · field + wire type
 * wire type 0 varint · 1 eight bytes · 2 varint of a length and so many bytes: texts, messages, packed arrays · 5 four bytes
 * ```
 */
import { DamagedFileError, VerydeepError } from "../core/errors.js";
import type { ByteReader } from "../io/byte-reader.js";
import { CheckedReader, type PbfReader } from "../vendor/protobuf.js";

/** Where a message or a value is. */
export interface Place {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** A field that was cut out: where its value is, without tag and length. */
export interface Part extends Place {
  readonly field: number;
  /** Bytes from the tag to the value. */
  readonly headBytes: number;
  /** Whether it is length-delimited: a message, or a packed array. */
  readonly delimited: boolean;
}

/** Reads one field of a message; a field that is not read is skipped. */
export type FieldReader<T> = (field: number, result: T, pbf: PbfReader) => void;

/** Headers of fields are looked at through a window of so many bytes; a tag and a length have at most 20. */
const WINDOW_BYTES = 2 ** 16;
const HEAD_BYTES = 20;
/** Beyond these a file is no net but an attack on the memory. */
const MAX_FIELDS = 2 ** 20;
const MAX_SMALL_BYTES = 2 ** 26;

/** A protobuf file, read in pieces. */
export class ProtobufFile {
  private window: Uint8Array = new Uint8Array();
  private windowBegin = 0;
  private fields = 0;

  constructor(readonly reader: ByteReader) {}

  /**
   * Decodes a message but for some of its fields, whose places are returned, in the file's order.
   * @throws DamagedFileError with the offset.
   */
  async cut<T>(
    place: Place,
    large: readonly number[],
    readField: FieldReader<T>,
    result: T,
  ): Promise<{ result: T; parts: Part[] }> {
    const parts: Part[] = [];
    const small: { offset: number; end: number }[] = [];
    const end = place.offset + place.sizeBytes;
    for (let at = place.offset; at < end; ) {
      const part = await this.field(at, end);
      const next = part.offset + part.sizeBytes;
      const last = small.at(-1);
      if (large.includes(part.field)) parts.push(part);
      else if (last?.end === at) last.end = next;
      else small.push({ offset: at, end: next });
      at = next;
    }
    for (const run of small) {
      await this.decode({ offset: run.offset, sizeBytes: run.end - run.offset }, readField, result);
    }
    return { result, parts };
  }

  /** Decodes a whole message. @throws DamagedFileError with the offset. */
  async decode<T>(place: Place, readField: FieldReader<T>, result: T): Promise<T> {
    const { offset, sizeBytes } = place;
    if (sizeBytes > MAX_SMALL_BYTES) {
      throw this.damaged(offset, `a description of ${sizeBytes} bytes, more than any net needs`);
    }
    const pbf = new CheckedReader(await this.bytes(offset, sizeBytes));
    try {
      return pbf.readFields(readField, result);
    } catch (error) {
      if (error instanceof VerydeepError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw this.damaged(offset + Math.min(pbf.pos, sizeBytes), `a message that is malformed: ${reason}`);
    }
  }

  /** A small value. */
  async bytes(offset: number, sizeBytes: number): Promise<Uint8Array> {
    const inWindow = offset >= this.windowBegin && offset + sizeBytes <= this.windowBegin + this.window.length;
    if (!inWindow) {
      if (sizeBytes > WINDOW_BYTES) return this.reader.read(offset, sizeBytes);
      this.window = await this.reader.read(
        offset,
        Math.max(sizeBytes, Math.min(WINDOW_BYTES, this.reader.sizeBytes - offset)),
      );
      this.windowBegin = offset;
    }
    return this.window.subarray(offset - this.windowBegin, offset - this.windowBegin + sizeBytes);
  }

  damaged(offset: number, what: string): DamagedFileError {
    return new DamagedFileError(
      `load: ${this.reader.name} is damaged (${what}, at byte ${offset}). Download or save the file again.`,
    );
  }

  /** Tag and length of the field at an offset. */
  private async field(at: number, end: number): Promise<Part> {
    if (++this.fields > MAX_FIELDS) throw this.damaged(at, `more than ${MAX_FIELDS} fields`);
    const head = await this.bytes(at, Math.min(HEAD_BYTES, end - at));
    const tag = this.varint(head, 0, at);
    const wire = tag.value % 8;
    const field = Math.floor(tag.value / 8);
    if (field < 1 || field >= 2 ** 29) throw this.damaged(at, `a field numbered ${field}`);
    let { length } = tag;
    let sizeBytes: number;
    if (wire === 2) {
      const size = this.varint(head, length, at);
      length += size.length;
      sizeBytes = size.value;
    } else if (wire === 0) sizeBytes = this.varint(head, length, at).length;
    else if (wire === 1) sizeBytes = 8;
    else if (wire === 5) sizeBytes = 4;
    else throw this.damaged(at, `wire type ${wire}`);
    const offset = at + length;
    if (offset + sizeBytes > end) {
      throw this.damaged(at, `a field of ${sizeBytes} bytes where ${end - offset} are left`);
    }
    return { field, offset, sizeBytes, headBytes: length, delimited: wire === 2 };
  }

  private varint(bytes: Uint8Array, begin: number, at: number): { value: number; length: number } {
    let value = 0;
    for (let i = 0; i < 10 && begin + i < bytes.length; i++) {
      const byte = bytes[begin + i];
      value += (byte % 128) * 2 ** (7 * i);
      if (byte < 128) return { value, length: i + 1 };
    }
    throw this.damaged(at, "a number without end");
  }
}
