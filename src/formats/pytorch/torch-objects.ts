/**
 * What torch's names mean in a pickle: storages, tensors on them, and the few containers around. These are all that a pickle can make;
 * pickle.ts refuses any other name. Nothing is read here: a tensor is a storage's name, an offset, sizes and strides.
 */
import { DamagedFileError } from "../../core/errors.js";
import type { StoredDtype } from "../../io/weights-file.js";
import { PickleDict, PickleGlobal, type PickleHost } from "./pickle.js";

/** Elements that tensors share, as the pickle names them. */
export interface TorchStorage {
  readonly key: string;
  /** Null for bytes that each tensor reads its own way. */
  readonly dtype: StoredDtype | null;
  /** Of the dtype, or bytes. */
  readonly elements: number;
  /** First element in the storage that the file has: old files have views. */
  readonly begin: number;
}

/** A tensor: element [i, j, …] is number `offset + i·stride[0] + j·stride[1] + …` of the storage. */
export class TorchTensor {
  constructor(
    readonly storage: string,
    readonly dtype: StoredDtype,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
    readonly offset: number,
  ) {}
}

/** Elements of a tensor that its storage does not have: expanded ones. More than this is a claim, not a tensor. */
const MAX_EXPANDED = 2 ** 20;

/** Torch's own limit. */
const MAX_AXES = 64;
/** More than the largest nets have. */
export const MAX_TENSORS = 2 ** 17;

const STORAGES: Readonly<Record<string, StoredDtype>> = {
  FloatStorage: "F32",
  DoubleStorage: "F64",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

const DTYPES: Readonly<Record<string, StoredDtype>> = {
  float64: "F64",
  double: "F64",
  float32: "F32",
  float: "F32",
  float16: "F16",
  half: "F16",
  bfloat16: "BF16",
  int64: "I64",
  long: "I64",
  int32: "I32",
  int: "I32",
  int16: "I16",
  short: "I16",
  int8: "I8",
  uint8: "U8",
  uint16: "U16",
  uint32: "U32",
  uint64: "U64",
  bool: "BOOL",
};

const UNTYPED = new Set(["torch.UntypedStorage", "torch.storage.UntypedStorage"]);
/** Names that only stand as arguments. */
const INERT = new Set([
  "torch.Tensor",
  "torch._tensor.Tensor",
  "torch.nn.parameter.Parameter",
  "torch.nn.parameter.Buffer",
]);
const FROM_TYPE = "torch._tensor._rebuild_from_type_v2";

type Call = (args: readonly unknown[], fail: Fail) => unknown;

/** Names that may be called. Calls copy nothing that is large: a pickle may ask for the same one again and again. */
const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ["collections.OrderedDict", makeDict],
  ["collections.Counter", makeDict],
  ["collections.defaultdict", makeDict],
  ...["dict", "list", "set", "frozenset", "tuple"].flatMap((name): [string, Call][] => {
    const make = name === "dict" ? makeDict : makeList;
    return [
      [`builtins.${name}`, make],
      [`__builtin__.${name}`, make],
    ];
  }),
  ["torch.Size", makeList],
  // Devices, and bytes as protocol 2 says them: nothing here needs them.
  ["torch.device", () => null],
  ["_codecs.encode", () => null],
  ["torch._utils._rebuild_tensor", makeTensor],
  ["torch._utils._rebuild_tensor_v2", makeTensor],
  ["torch._utils._rebuild_tensor_v3", makeTensorOfDtype],
  ["torch._utils._rebuild_parameter", firstArgument],
  ["torch._utils._rebuild_parameter_with_state", firstArgument],
]);

type Fail = (what: string) => never;

/** What pickles of torch.save() may ask for. */
export interface TorchHost extends PickleHost {
  /** What was said of storages, by their keys: of each, the largest claim. */
  readonly storages: ReadonlyMap<string, TorchStorage>;
}

/** The host for one pickle of torch.save(). @param file what to call it in errors. */
export function torchHost(file: string): TorchHost {
  const storages = new Map<string, TorchStorage>();
  const keep = (storage: TorchStorage): TorchStorage => {
    const { begin, elements } = storages.get(storage.key) ?? { begin: 0, elements: -1 };
    if (storage.begin + storage.elements > begin + elements) storages.set(storage.key, storage);
    return storage;
  };
  const failing =
    (name: string, at: number): Fail =>
    (what) => {
      throw new DamagedFileError(`pytorch: ${what} in ${file} (${name}, byte ${at}). Download or save the file again.`);
    };
  let tensors = 0;
  const call = (name: string, args: readonly unknown[], at: number): unknown => {
    const fail = failing(name, at);
    if (name !== FROM_TYPE) {
      const known = CALLS.get(name);
      const made = known ? known(args, fail) : fail("what is no function is called");
      if (made instanceof TorchTensor && ++tensors > MAX_TENSORS) return fail(`more than ${MAX_TENSORS} tensors`);
      return made;
    }
    const [callee, , inner] = args;
    // Itself inside itself would go on for ever.
    if (!(callee instanceof PickleGlobal) || callee.name === FROM_TYPE || !Array.isArray(inner)) {
      return fail("a tensor is built from what is none");
    }
    return call(callee.name, inner, at);
  };
  return {
    file,
    storages,
    knows: (name) =>
      CALLS.has(name) || INERT.has(name) || UNTYPED.has(name) || name === FROM_TYPE || dtypeOf(name) !== null,
    call,
    load(id, at) {
      const [kind, type, key, , elements, view] = Array.isArray(id) ? id : [];
      const fail = failing("storage", at);
      const name = type instanceof PickleGlobal ? type.name : "";
      const dtype = dtypeOf(name);
      if (
        kind !== "storage" ||
        (dtype === null && !UNTYPED.has(name)) ||
        typeof key !== "string" ||
        !isCount(elements)
      ) {
        return fail("an unknown reference");
      }
      if (!Array.isArray(view)) return keep({ key, dtype, elements, begin: 0 });
      // Of old files: a part of another storage, which is what the file has.
      const [root, begin, size] = view;
      if (typeof root !== "string" || !isCount(begin) || !isCount(size)) return fail("a wrong view of a storage");
      return keep({ key: root, dtype, elements: size, begin });
    },
  };
}

function makeTensor(args: readonly unknown[], fail: Fail): TorchTensor {
  const storage = asStorage(args[0], fail);
  return tensorOn(storage, storage.dtype ?? fail("a tensor without a dtype"), args, fail);
}

function makeTensorOfDtype(args: readonly unknown[], fail: Fail): TorchTensor {
  const storage = asStorage(args[0], fail);
  const name = args[6] instanceof PickleGlobal ? args[6].name : "";
  return tensorOn(storage, dtypeOf(name) ?? fail("a tensor of an unknown dtype"), args, fail);
}

function tensorOn(
  storage: TorchStorage,
  dtype: StoredDtype,
  [, offset, shape, stride]: readonly unknown[],
  fail: Fail,
): TorchTensor {
  if (!isCount(offset) || !areSizes(shape) || !areSizes(stride) || shape.length !== stride.length) {
    return fail("a tensor whose sizes are no whole numbers");
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  const last = offset + shape.reduce((sum, size, axis) => sum + (size - 1) * stride[axis], 0);
  if (elements > 0 && !(last < storage.elements)) {
    return fail(`a tensor that ends outside of its storage ([${shape}], element ${last} of ${storage.elements})`);
  }
  if (!(elements <= Math.max(storage.elements, MAX_EXPANDED))) {
    return fail(`a tensor that claims more than its storage ([${shape}], ${storage.elements} elements)`);
  }
  return new TorchTensor(storage.key, dtype, [...shape], [...stride], storage.begin + offset);
}

function asStorage(value: unknown, fail: Fail): TorchStorage {
  return isStorage(value) ? value : fail("a tensor without a storage");
}

function isStorage(value: unknown): value is TorchStorage {
  return typeof value === "object" && value !== null && "key" in value && "elements" in value && "begin" in value;
}

function makeDict([items]: readonly unknown[]): PickleDict {
  if (items instanceof PickleDict) return items;
  const dict = new PickleDict();
  if (!Array.isArray(items) || items.length === 0) return dict;
  // Python 2 gives a list of pairs. It is emptied, so that the same one is not copied again.
  for (const pair of items.splice(0)) if (Array.isArray(pair)) dict.set(pair[0], pair[1]);
  return dict;
}

function makeList([items]: readonly unknown[]): unknown[] {
  return Array.isArray(items) ? items : [];
}

function firstArgument([value]: readonly unknown[]): unknown {
  return value;
}

function dtypeOf(name: string): StoredDtype | null {
  const [, storage] = /^torch(?:\.cuda)?\.(\w+)$/.exec(name) ?? [];
  if (storage === undefined) return null;
  if (Object.hasOwn(STORAGES, storage)) return STORAGES[storage];
  return Object.hasOwn(DTYPES, storage) ? DTYPES[storage] : null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function areSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MAX_AXES && value.every(isCount);
}
