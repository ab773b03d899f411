/**
 * Kernels for shared memory from the bytes of those for plain memory. A module that imports one does not link with the other, but
 * the two differ in one bit: the kernels use no atomics, so only the limits of the imported memory say which it is.
 *
 *   import section (id 2): count, then per import: module name, field name, kind, description
 *   kind 0 function: type | 1 table: reftype, limits | 2 memory: limits | 3 global: type, mutable
 *   limits: flags (bit 0: has a maximum, bit 1: shared), minimum, maximum
 */
import { BackendError } from "../../core/errors.js";

const HEADER_BYTES = 8;
const IMPORT_SECTION = 2;
const FUNCTION = 0;
const TABLE = 1;
const MEMORY = 2;
const GLOBAL = 3;
const HAS_MAXIMUM = 1;
const SHARED = 2;

/** Reads the numbers of a module's binary format. */
class Reader {
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  get ended(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    if (this.ended) throw malformed("it ends too early");
    return this.bytes[this.at++];
  }

  /** LEB128 of at most 32 bits. */
  number(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed("a number is too long");
  }

  /** A name, or a section, begins with its length. */
  skipCounted(): void {
    const bytes = this.number();
    this.at += bytes;
  }

  skipLimits(): void {
    const flags = this.number();
    this.number();
    if (flags & HAS_MAXIMUM) this.number();
  }
}

/**
 * The same module, its imported memory shared.
 * @throws BackendError where it imports no memory with a maximum, or is no module.
 */
export function withSharedMemory(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const flagsAt = memoryFlagsAt(bytes);
  if (!(bytes[flagsAt] & HAS_MAXIMUM)) throw malformed("its memory has no maximum");
  const shared = bytes.slice();
  shared[flagsAt] |= SHARED;
  return shared;
}

/** Where the limits of the first imported memory begin. */
function memoryFlagsAt(bytes: Uint8Array): number {
  const reader = new Reader(bytes, HEADER_BYTES);
  while (!reader.ended) {
    if (reader.byte() !== IMPORT_SECTION) {
      reader.skipCounted();
      continue;
    }
    reader.number();
    for (let left = reader.number(); left > 0; left--) {
      reader.skipCounted();
      reader.skipCounted();
      const kind = reader.byte();
      if (kind === MEMORY) return reader.at;
      if (kind === FUNCTION) reader.number();
      else if (kind === TABLE) {
        reader.byte();
        reader.skipLimits();
      } else if (kind === GLOBAL) reader.at += 2;
      else throw malformed(`it has an import of unknown kind ${kind}`);
    }
    break;
  }
  throw malformed("it imports no memory");
}

function malformed(what: string): BackendError {
  return new BackendError(`wasm: the kernels' module cannot be used (${what}). Install the package anew.`);
}
