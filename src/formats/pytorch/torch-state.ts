/**
 * Finds the state dictionary in what torch.save() was given: the dictionary itself, or a checkpoint with one inside. Names of nested
 * dictionaries are joined by dots. Pure: values come from pickle.ts, tensors are torch-objects.ts's.
 */
import { WeightsError } from "../../core/errors.js";
import { PickleDict } from "./pickle.js";
import { MAX_TENSORS, TorchTensor } from "./torch-objects.js";

/** A state dictionary, and how it was found. */
export interface TorchState {
  /** In the file's order. */
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** Where it was: "model.state_dict"; "" for the whole file. */
  readonly taken: string;
  /** What all names began with: "module.", from DataParallel. */
  readonly stripped: string;
  /** Plain values beside it: epoch, arch. */
  readonly beside: readonly [string, string][];
}

/** Deeper ones are an attack on the stack. */
const MAX_DEPTH = 64;
/** Where trainers put the net, tried before all others. */
const USUAL = ["state_dict", "model_state_dict", "model_state", "model", "net"];
/** What wrappers put in front of every name. */
const WRAPPERS = ["module.", "_orig_mod."];
const MAX_TEXT = 1000;
/** Of a tensor, dots and all; torch's longest have a few hundred characters. */
const MAX_NAME = 4096;

/**
 * The state dictionary of a value: under the usual keys, or else the dictionary of most tensors.
 * @throws WeightsError where there is none, and for a name that occurs twice.
 */
export function findState(root: unknown, file: string): TorchState {
  if (root instanceof TorchTensor) {
    return { tensors: new Map([["tensor", root]]), taken: "", stripped: "", beside: [] };
  }
  const counts: Counts = new Map();
  const found = usual(root, "", counts) ?? largest(root, counts);
  if (!found) {
    throw new WeightsError(
      `pytorch: ${file} holds no dictionary of tensors. Save the net's: torch.save(model.state_dict(), path).`,
    );
  }
  const tensors = new Map<string, TorchTensor>();
  collect(found.dict, "", tensors, counts, file);
  const { names, stripped } = strip([...tensors.keys()]);
  return {
    tensors: new Map([...tensors.values()].map((tensor, i) => [names[i], tensor])),
    taken: found.path,
    stripped,
    beside: plainValues(root),
  };
}

interface Found {
  readonly dict: PickleDict;
  readonly path: string;
}

/** Follows the usual keys down, as long as there are tensors behind them. */
function usual(value: unknown, path: string, counts: Counts, depth = 0): Found | null {
  if (!(value instanceof PickleDict) || depth > USUAL.length) return null;
  for (const key of USUAL) {
    const inner = value.entries.get(key);
    if (!(inner instanceof PickleDict)) continue;
    const innerPath = path === "" ? key : `${path}.${key}`;
    const deeper = usual(inner, innerPath, counts, depth + 1);
    if (deeper) return deeper;
    if (countTensors(inner, counts).count > 0) return { dict: inner, path: innerPath };
  }
  return null;
}

interface Count {
  /** In the dictionary and the dictionaries in it. */
  readonly count: number;
  /** Whether there is nothing else: then the dictionary as a whole may be a net's. */
  readonly pure: boolean;
}

/** The dictionary with the most tensors: its own, and where it holds nothing else those in its dictionaries. The outermost of equals. */
function largest(root: unknown, counts: Counts): Found | null {
  let best: (Found & { count: number }) | null = null;
  const seen = new Set<unknown>();
  const level: { value: unknown; path: string }[] = [{ value: root, path: "" }];
  // Breadth first: an array hands out what is added while it is walked.
  for (const { value, path } of level) {
    if (seen.has(value)) continue;
    seen.add(value);
    if (path.length > MAX_NAME) continue;
    const inner = (key: unknown): string => (path === "" ? String(key) : `${path}.${String(key)}`);
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) if (isContainer(item)) level.push({ value: item, path: inner(i) });
    } else if (value instanceof PickleDict) {
      const count = countTensors(value, counts).count;
      if (count > (best?.count ?? 0)) best = { dict: value, path, count };
      for (const [key, item] of value.entries) {
        if (isContainer(item) && (typeof key === "string" || typeof key === "number")) {
          level.push({ value: item, path: inner(key) });
        }
      }
    }
  }
  return best;
}

function isContainer(value: unknown): boolean {
  return Array.isArray(value) || value instanceof PickleDict;
}

/** What is known of each dictionary, so that one that is met often is counted once. */
type Counts = Map<PickleDict, Count>;

/** Tensors that collect() would find. A dictionary inside itself is none of a net's. */
function countTensors(dict: PickleDict, counts: Counts, depth = 0): Count {
  const known = counts.get(dict);
  if (known) return known;
  counts.set(dict, { count: 0, pure: false });
  if (depth > MAX_DEPTH) return { count: 0, pure: false };
  let own = 0;
  let nested = 0;
  let pure = true;
  for (const [key, value] of dict.entries) {
    if (typeof key !== "string") pure = false;
    else if (value instanceof TorchTensor) own++;
    else if (value instanceof PickleDict) {
      const inner = countTensors(value, counts, depth + 1);
      nested += inner.count;
      pure &&= inner.pure;
    } else pure = false;
  }
  const count = { count: pure ? own + nested : own, pure: pure && own + nested > 0 };
  counts.set(dict, count);
  return count;
}

/**
 * The tensors of a dictionary, and of those in it that hold nothing but tensors. Names longer than any net's end the walk: each level makes
 * them longer, so that it is not deep either.
 */
function collect(
  dict: PickleDict,
  prefix: string,
  tensors: Map<string, TorchTensor>,
  counts: Counts,
  file: string,
): void {
  for (const [key, value] of dict.entries) {
    if (typeof key !== "string") continue;
    if (prefix.length + key.length > MAX_NAME) {
      throw new WeightsError(
        `pytorch: ${file} has a name of more than ${MAX_NAME} characters (name ${JSON.stringify((prefix + key).slice(0, 40))}...). It is no state dictionary.`,
      );
    }
    const name = prefix + key;
    if (value instanceof TorchTensor) {
      if (tensors.has(name) || tensors.size === MAX_TENSORS) {
        const what = tensors.has(name) ? "two tensors of one name" : `more than ${MAX_TENSORS} tensors`;
        throw new WeightsError(
          `pytorch: ${file} has ${what} (name ${JSON.stringify(name)}). Save the net's own dictionary: torch.save(model.state_dict(), path).`,
        );
      }
      tensors.set(name, value);
    } else if (value instanceof PickleDict && countTensors(value, counts).pure) {
      collect(value, `${name}.`, tensors, counts, file);
    }
  }
}

function strip(names: readonly string[]): { names: readonly string[]; stripped: string } {
  const wrapper = WRAPPERS.find((text) => names.length > 0 && names.every((name) => name.startsWith(text)));
  if (wrapper === undefined) return { names, stripped: "" };
  const rest = strip(names.map((name) => name.slice(wrapper.length)));
  return { names: rest.names, stripped: wrapper + rest.stripped };
}

function plainValues(root: unknown): [string, string][] {
  if (!(root instanceof PickleDict)) return [];
  return [...root.entries].flatMap(([key, value]): [string, string][] => {
    const isPlain = ["string", "number", "boolean"].includes(typeof value) && String(value).length <= MAX_TEXT;
    return typeof key === "string" && isPlain ? [[key, String(value)]] : [];
  });
}
