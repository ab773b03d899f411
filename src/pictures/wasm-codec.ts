/**
 * A C library in WebAssembly, as wasi-sdk builds it: compiled when first used, its memory lent to one picture at a time. After any failure,
 * and after a large picture, the instance is dropped: what a damaged file left in its memory reaches no other picture. Which functions to
 * call is decode-wasm.ts's.
 */
import { BackendError } from "../core/errors.js";

/** An instance whose memory grew above is dropped after the picture: WebAssembly's memory never shrinks. */
const MAX_KEPT_BYTES = 64 * 2 ** 20;

/** What C's longjmp becomes: the way out of a library that cannot go on. */
class CodecStopped extends Error {
  override readonly name = "CodecStopped";
}

export class WasmCodec {
  #module: Promise<WebAssembly.Module> | undefined;
  #idle: WebAssembly.Exports | undefined;

  /** @param read the bytes of the .wasm file. */
  constructor(private readonly read: () => Promise<Uint8Array<ArrayBuffer>>) {}

  /**
   * Runs a piece of work, synchronous, on an instance.
   * @throws Error, in a few words, where the work throws, the library stops, or memory is short; BackendError where there is no library.
   */
  async use<T>(work: (codec: CodecMemory) => T): Promise<T> {
    this.#module ??= this.read().then((bytes) => WebAssembly.compile(bytes));
    const module = await this.#module.catch((error: unknown) => {
      throw new BackendError(
        `decodePicture: the codec cannot be loaded (${String(error)}). Install the package again; in a clone, run npm install first.`,
      );
    });
    const exports: WebAssembly.Exports =
      this.#idle ??
      new WebAssembly.Instance(
        module,
        imports(() => exports),
      ).exports;
    this.#idle = undefined;
    const codec = new CodecMemory(exports);
    try {
      const result = work(codec);
      codec.release();
      if (codec.byteLength <= MAX_KEPT_BYTES) this.#idle = exports;
      return result;
    } catch (error) {
      // A trap: the library ran into its own memory's end, or worse.
      throw error instanceof WebAssembly.RuntimeError ? new CodecStopped(`the codec failed: ${error.message}`) : error;
    }
  }
}

/** An instance's functions and memory, while one picture uses them. */
export class CodecMemory {
  readonly #owned: number[] = [];

  constructor(private readonly exports: WebAssembly.Exports) {}

  get byteLength(): number {
    return memoryOf(this.exports).byteLength;
  }

  /** Calls a function of the library; pointers and sizes come back as unsigned. */
  call(name: string, ...args: number[]): number {
    const target = this.exports[name];
    if (typeof target !== "function") throw new CodecStopped(`the codec has no function ${name}`);
    return Number(target(...args) ?? 0) >>> 0;
  }

  /** Takes memory, which release() gives back. */
  take(length: number): number {
    const pointer = this.call("malloc", length);
    if (pointer === 0) throw new CodecStopped(`no memory for ${length} bytes`);
    this.own(pointer);
    return pointer;
  }

  /** Copies bytes into the library's memory. */
  put(bytes: Uint8Array): number {
    const pointer = this.take(bytes.length);
    this.bytes(pointer, bytes.length).set(bytes);
    return pointer;
  }

  /** Memory that the library took and left to its caller. */
  own(pointer: number): void {
    this.#owned.push(pointer);
  }

  /** A view; good until the next call. */
  bytes(pointer: number, length: number): Uint8Array {
    return new Uint8Array(memoryOf(this.exports), pointer, length);
  }

  release(): void {
    for (const pointer of this.#owned.splice(0)) this.call("free", pointer);
  }
}

function memoryOf({ memory }: WebAssembly.Exports): ArrayBuffer {
  if (!(memory instanceof WebAssembly.Memory)) throw new CodecStopped("the codec has no memory");
  return memory.buffer;
}

/** What the libraries ask of the outside: no files, no environment, no way to jump back but an exception. */
function imports(exports: () => WebAssembly.Exports): WebAssembly.Imports {
  const stop = (what: string) => (): never => {
    throw new CodecStopped(what);
  };
  const none = (...pointers: number[]): number => {
    const words = new DataView(memoryOf(exports()));
    for (const pointer of pointers) words.setUint32(pointer, 0, true);
    return 0;
  };
  return {
    env: { setjmp: () => 0, longjmp: stop("the codec cannot read its pixels") },
    wasi_snapshot_preview1: {
      proc_exit: stop("the codec ended"),
      environ_sizes_get: none,
      environ_get: () => 0,
      fd_close: stop("the codec closed a file"),
      fd_seek: stop("the codec sought in a file"),
      // Messages: the structure was checked before, and whether there is a picture shows.
      fd_write: stop("the codec printed a message"),
    },
  };
}
