/** Weights files that exist in memory alone: names and shapes, with values where a test reads them. */
import type { StoredTensor, WeightsFile } from "#src/io/weights-file.js";

/** An open file of these tensors, all F32. Without values it fails the test that reads it. */
export function fakeFile(
  shapes: Iterable<readonly [name: string, shape: readonly number[]]>,
  rest: Partial<WeightsFile> & { readonly values?: ReadonlyMap<string, Float32Array> } = {},
): WeightsFile {
  const { values = new Map<string, Float32Array>(), ...fields } = rest;
  const tensors = new Map([...shapes].map(([name, shape]): [string, StoredTensor] => [name, { dtype: "F32", shape }]));
  return {
    format: "pytorch",
    variant: "made by a test",
    name: "net.bin",
    tensors,
    metadata: {},
    net: null,
    async readFloats(name, begin, target) {
      const found = values.get(name);
      if (!found) throw new Error(`nobody should read ${name}`);
      target.set(found.subarray(begin, begin + target.length));
    },
    async readBytes(name) {
      throw new Error(`nobody should read ${name}`);
    },
    async close() {},
    ...fields,
  };
}
