/**
 * Python's pickles as far as torch.save() writes them, read without running anything: a stack machine that knows plain values, and of all
 * that a pickle can ask for by name only what {@link PickleHost} allows. Everything else is refused by its name. What torch means by
 * its names is torch-objects.ts's. After Python's pickletools.py and PEP 3154, protocols 2 to 5.
 */
import { DamagedFileError, WeightsError } from "../../core/errors.js";

/** A dictionary; also Python's OrderedDict, Counter and defaultdict. Keys that are no plain values are kept as objects. */
export class PickleDict {
  private map: Map<unknown, unknown> | undefined;

  get entries(): ReadonlyMap<unknown, unknown> {
    return this.map ?? NOTHING;
  }

  set(key: unknown, value: unknown): void {
    this.map ??= new Map();
    this.map.set(key, value);
  }
}

const NOTHING: ReadonlyMap<unknown, unknown> = new Map();

/** Something by its name, as `torch.FloatStorage`: only the name. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** What may be asked for beside plain values. */
export interface PickleHost {
  /** What to call the file in errors. */
  readonly file: string;
  /** Whether the name may occur at all. */
  knows(name: string): boolean;
  /** The call of a known name. @throws WeightsError where the arguments are not what it takes. */
  call(name: string, args: readonly unknown[], at: number): unknown;
  /** An object that the pickle only refers to. @throws WeightsError */
  load(id: unknown, at: number): unknown;
}

/** The bytes ended inside the pickle: with more of them it may go on. */
export class PickleCut extends Error {}

const MARK = Symbol("mark");
/** Steps of one pickle, each a byte or more: a net of 100,000 tensors has 3 million. More is an attack on memory. */
const MAX_STEPS = 4_000_000;
/** Whole numbers of pickles have at most these many bytes: the longest of torch has 10. */
const MAX_INTEGER_BYTES = 64;

const STOP = 0x2e;

/** Why names are refused, and what to do. */
const ONLY_TENSORS =
  "It may hold a whole model; nothing of it was run. If it is yours, save its tensors alone: torch.save(model.state_dict(), path).";

/**
 * Reads one pickle.
 * @param base where the bytes are in the file, for errors.
 * @returns its value, and where it ends in the bytes.
 * @throws PickleCut where the bytes end before the pickle does; DamagedFileError for one that is none; WeightsError that names what it asks for
 *     and is not allowed.
 */
export function unpickle(bytes: Uint8Array, host: PickleHost, base = 0): { value: unknown; end: number } {
  return new Machine(bytes, host, base).run();
}

class Machine {
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();
  private at = 0;
  /** Where the opcode under way begins. */
  private begin = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly host: PickleHost,
    private readonly base: number,
  ) {}

  run(): { value: unknown; end: number } {
    for (let step = 0; step < MAX_STEPS; step++) {
      this.begin = this.at;
      const code = this.uint(1);
      if (code === STOP) {
        if (this.stack.length !== 1) throw this.damaged(`leaves ${this.stack.length} values`);
        return { value: this.pop(1)[0], end: this.at };
      }
      this.step(code);
    }
    throw new WeightsError(
      `pytorch: the pickle of ${this.host.file} has more than ${MAX_STEPS} steps (byte ${this.base}). It is no state dictionary.`,
    );
  }

  private step(code: number): void {
    const value = VALUES.get(code);
    const act = ACTIONS.get(code);
    if (value) this.stack.push(value(this));
    else if (act) act(this);
    else throw this.damaged(`has an unknown opcode (0x${code.toString(16).padStart(2, "0")})`);
  }

  protocol(version: number): void {
    if (version < 2 || version > 5) throw this.damaged(`is of an unknown protocol (protocol ${version})`);
  }

  global(name: string): PickleGlobal {
    if (this.host.knows(name)) return new PickleGlobal(name);
    throw this.refused(name);
  }

  namedGlobal([module, name]: readonly unknown[]): PickleGlobal {
    if (typeof module !== "string" || typeof name !== "string") throw this.damaged("asks for what has no name");
    return this.global(`${module}.${name}`);
  }

  call(callee: unknown, args: unknown): unknown {
    if (!(callee instanceof PickleGlobal) || !Array.isArray(args)) throw this.damaged("calls what is no function");
    return this.host.call(callee.name, args, this.base + this.begin);
  }

  callFirst([callee, ...args]: readonly unknown[]): unknown {
    return this.call(callee, args);
  }

  apply([callee, args, named]: readonly unknown[]): unknown {
    if (named !== undefined && !(named instanceof PickleDict && named.entries.size === 0)) {
      throw this.damaged("names the arguments of a call");
    }
    return this.call(callee, args);
  }

  load(id: unknown): unknown {
    return this.host.load(id, this.base + this.begin);
  }

  /** Attributes that a dictionary or tensor has beside its values, such as `_metadata`. They are left out, which runs nothing. */
  build(): void {
    this.pop(1);
    this.top();
  }

  append(values: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.damaged("appends to what is no list");
    for (const value of values) list.push(value);
  }

  dict(values: readonly unknown[]): PickleDict {
    const dict = new PickleDict();
    this.fill(dict, values);
    return dict;
  }

  setItems(values: readonly unknown[]): void {
    this.fill(this.top(), values);
  }

  private fill(dict: unknown, values: readonly unknown[]): void {
    if (!(dict instanceof PickleDict) || values.length % 2 !== 0) {
      throw this.damaged("sets items of what is no dictionary");
    }
    for (let i = 0; i < values.length; i += 2) dict.set(values[i], values[i + 1]);
  }

  keep(key: number): void {
    this.memo.set(key, this.top());
  }

  keepNext(): void {
    this.keep(this.memo.size);
  }

  recall(key: number): unknown {
    if (!this.memo.has(key)) throw this.damaged(`recalls what it never kept (memo ${key})`);
    return this.memo.get(key);
  }

  discard(): void {
    this.stack.pop();
  }

  top(): unknown {
    const top = this.stack.at(-1);
    if (this.stack.length === 0 || top === MARK) throw this.damaged("takes more values than there are");
    return top;
  }

  pop(count: number): unknown[] {
    const values = this.stack.splice(Math.max(0, this.stack.length - count));
    if (values.length < count || values.includes(MARK)) throw this.damaged("takes more values than there are");
    return values;
  }

  popToMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) throw this.damaged("goes back to a mark that is not there");
    const values = this.stack.splice(mark);
    values.shift();
    return values;
  }

  take(sizeBytes: number): Uint8Array {
    const end = this.at + sizeBytes;
    if (end > this.bytes.length) throw new PickleCut(`wants bytes ${this.base + this.at} to ${this.base + end}`);
    this.at = end;
    return this.bytes.subarray(end - sizeBytes, end);
  }

  /** Little-endian. Beyond 2^53 not exact, but longer than any file. */
  uint(sizeBytes: number): number {
    const bytes = this.take(sizeBytes);
    let value = 0;
    for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + bytes[i];
    return value;
  }

  /** Two's complement, little-endian: a number where that is exact. */
  integer(sizeBytes: number): number | bigint {
    if (sizeBytes > MAX_INTEGER_BYTES) throw this.damaged(`has a whole number of ${sizeBytes} bytes`);
    let value = 0n;
    for (const byte of this.take(sizeBytes).toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * sizeBytes, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  float(): number {
    const bytes = this.take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, false);
  }

  line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new PickleCut(`lacks the end of a line from byte ${this.base + this.at} on`);
    const line = this.text(this.bytes.subarray(this.at, end));
    this.at = end + 1;
    return line;
  }

  text(bytes: Uint8Array): string {
    try {
      return UTF8.decode(bytes);
    } catch {
      throw this.damaged("has a text that is not UTF-8");
    }
  }

  private damaged(what: string): DamagedFileError {
    return new DamagedFileError(
      `pytorch: the pickle of ${this.host.file} ${what} (byte ${this.base + this.begin}). Download or save the file again.`,
    );
  }

  private refused(name: string): WeightsError {
    const brief = name.length > 200 ? `${name.slice(0, 200)}...` : name;
    return new WeightsError(
      `pytorch: ${this.host.file} asks for ${brief} (byte ${this.base + this.begin}), which a file of plain tensors does not need. ${ONLY_TENSORS}`,
    );
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of Python 2, a character a byte; in pieces, since calls take few arguments. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 1024) text += String.fromCharCode(...bytes.subarray(i, i + 1024));
  return text;
}

/** Opcodes that put a value on the stack, by pickletools' names. */
const VALUES: ReadonlyMap<number, (m: Machine) => unknown> = new Map<number, (m: Machine) => unknown>([
  [0x4e, () => null], // NONE
  [0x88, () => true], // NEWTRUE
  [0x89, () => false], // NEWFALSE
  [0x4a, (m) => m.uint(4) | 0], // BININT
  [0x4b, (m) => m.uint(1)], // BININT1
  [0x4d, (m) => m.uint(2)], // BININT2
  [0x8a, (m) => m.integer(m.uint(1))], // LONG1
  [0x8b, (m) => m.integer(m.uint(4))], // LONG4
  [0x47, (m) => m.float()], // BINFLOAT
  [0x55, (m) => latin1(m.take(m.uint(1)))], // SHORT_BINSTRING
  [0x54, (m) => latin1(m.take(m.uint(4)))], // BINSTRING
  [0x8c, (m) => m.text(m.take(m.uint(1)))], // SHORT_BINUNICODE
  [0x58, (m) => m.text(m.take(m.uint(4)))], // BINUNICODE
  [0x8d, (m) => m.text(m.take(m.uint(8)))], // BINUNICODE8
  [0x43, (m) => m.take(m.uint(1))], // SHORT_BINBYTES
  [0x42, (m) => m.take(m.uint(4))], // BINBYTES
  [0x8e, (m) => m.take(m.uint(8))], // BINBYTES8
  [0x96, (m) => m.take(m.uint(8))], // BYTEARRAY8
  [0x29, () => []], // EMPTY_TUPLE
  [0x5d, () => []], // EMPTY_LIST
  [0x8f, () => []], // EMPTY_SET
  [0x7d, () => new PickleDict()], // EMPTY_DICT
  [0x28, () => MARK], // MARK
  [0x74, (m) => m.popToMark()], // TUPLE
  [0x6c, (m) => m.popToMark()], // LIST
  [0x91, (m) => m.popToMark()], // FROZENSET
  [0x85, (m) => m.pop(1)], // TUPLE1
  [0x86, (m) => m.pop(2)], // TUPLE2
  [0x87, (m) => m.pop(3)], // TUPLE3
  [0x64, (m) => m.dict(m.popToMark())], // DICT
  [0x32, (m) => m.top()], // DUP
  [0x68, (m) => m.recall(m.uint(1))], // BINGET
  [0x6a, (m) => m.recall(m.uint(4))], // LONG_BINGET
  [0x63, (m) => m.global(`${m.line()}.${m.line()}`)], // GLOBAL
  [0x93, (m) => m.namedGlobal(m.pop(2))], // STACK_GLOBAL
  [0x69, (m) => m.call(m.global(`${m.line()}.${m.line()}`), m.popToMark())], // INST
  [0x6f, (m) => m.callFirst(m.popToMark())], // OBJ
  [0x52, (m) => m.apply(m.pop(2))], // REDUCE
  [0x81, (m) => m.apply(m.pop(2))], // NEWOBJ
  [0x92, (m) => m.apply(m.pop(3))], // NEWOBJ_EX
  [0x51, (m) => m.load(m.pop(1)[0])], // BINPERSID
  [0x82, (m) => m.global(`extension ${m.uint(1)}`)], // EXT1
  [0x83, (m) => m.global(`extension ${m.uint(2)}`)], // EXT2
  [0x84, (m) => m.global(`extension ${m.uint(4)}`)], // EXT4
]);

/** The others, but STOP. */
const ACTIONS: ReadonlyMap<number, (m: Machine) => void> = new Map<number, (m: Machine) => void>([
  [0x80, (m) => m.protocol(m.uint(1))], // PROTO
  [0x95, (m) => m.take(8)], // FRAME
  [0x61, (m) => m.append(m.pop(1))], // APPEND
  [0x65, (m) => m.append(m.popToMark())], // APPENDS
  [0x90, (m) => m.append(m.popToMark())], // ADDITEMS
  [0x73, (m) => m.setItems(m.pop(2))], // SETITEM
  [0x75, (m) => m.setItems(m.popToMark())], // SETITEMS
  [0x30, (m) => m.discard()], // POP
  [0x31, (m) => m.popToMark()], // POP_MARK
  [0x71, (m) => m.keep(m.uint(1))], // BINPUT
  [0x72, (m) => m.keep(m.uint(4))], // LONG_BINPUT
  [0x94, (m) => m.keepNext()], // MEMOIZE
  [0x62, (m) => m.build()], // BUILD
]);
