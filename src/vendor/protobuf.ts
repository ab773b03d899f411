/**
 * Third-party code for protobuf messages, bundled at build time (scripts/build.js): pbf. Loaded with formats/onnx/onnx.ts, formats/onnx/onnx-write.ts and
 * formats/caffe/caffe.ts, which are loaded when such a file is.
 */
import { PbfReader } from "pbf";

export { type PbfReader, PbfWriter } from "pbf";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/**
 * A reader that trusts no length: pbf's own runs on past the end, or fills an array with what is not there.
 * @throws Error of some kind for anything damaged.
 */
export class CheckedReader extends PbfReader {
  override nextField(end: number = this.length): number {
    const field = super.nextField(end);
    if (field !== 0 && this.pos + this.valueBytes() > end) throw new Error("a value ends after its message");
    return field;
  }

  /** Of the value that begins here, its length included. */
  private valueBytes(): number {
    if (this.type === FIXED32) return 4;
    if (this.type === FIXED64) return 8;
    if (this.type !== VARINT && this.type !== BYTES) throw new Error("an unknown wire type");
    const begin = this.pos;
    const value = this.readVarint();
    const sizeBytes = this.pos - begin + (this.type === BYTES ? value : 0);
    this.pos = begin;
    return sizeBytes;
  }
}
