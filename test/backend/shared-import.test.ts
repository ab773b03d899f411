/** The shared bit of the imported memory, in the kernels' own bytes and in modules made here. */
import { readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { withSharedMemory } from "#src/backend/wasm/shared-import.js";
import { BackendError } from "#src/core/errors.js";
import { throws } from "../engine/nets.js";
import { allowRelaxedSimd } from "../helpers/relaxed.js";

allowRelaxedSimd();

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const name = (text: string): number[] => [text.length, ...Buffer.from(text)];
const section = (id: number, content: readonly number[]): number[] => [id, content.length, ...content];
const module = (...sections: number[][]): Uint8Array<ArrayBuffer> => Uint8Array.from([...HEADER, ...sections.flat()]);
const imported = (field: string, description: readonly number[]): number[] => [
  ...name("e"),
  ...name(field),
  ...description,
];

/** () -> () */
const TYPES = section(1, [1, 0x60, 0, 0]);
const FUNCTION = imported("f", [0, 0]);
const TABLE = imported("t", [1, 0x70, 1, 1, 2]);
const TABLE_WITHOUT_MAXIMUM = imported("t", [1, 0x70, 0, 1]);
const GLOBAL = imported("g", [3, 0x7f, 0]);
/** At least 1 page, at most 65536 (three bytes of LEB128). */
const MEMORY = imported("memory", [2, 1, 1, 0x80, 0x80, 0x04]);

for (const build of ["kernels", "kernels-relaxed"]) {
  test(`${build}.wasm: one bit makes it link with shared memory, and only with that`, async () => {
    const bytes = new Uint8Array(await readFile(new URL(`../../dist/wasm/${build}.wasm`, import.meta.url)));
    const before = bytes.slice();
    const shared = withSharedMemory(bytes);
    assert.equal(bytes, before);
    const changed = [...shared.keys()].filter((at) => shared[at] !== bytes[at]);
    assert.equal(
      changed.map((at) => [bytes[at], shared[at]]),
      [[0b01, 0b11]],
    );
    for (const [code, isShared] of [
      [bytes, false],
      [shared, true],
    ] as const) {
      const compiled = new WebAssembly.Module(code);
      const link = (asked: boolean) => () => {
        const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: asked });
        return new WebAssembly.Instance(compiled, { env: { memory, wide: 1 } });
      };
      assert.instance(link(isShared)(), WebAssembly.Instance);
      assert.throws(link(!isShared), (error: unknown) => error instanceof WebAssembly.LinkError);
    }
  });
}

test("imports of every kind before the memory", () => {
  const imports = [4, ...FUNCTION, ...TABLE, ...GLOBAL, ...MEMORY];
  const shared = withSharedMemory(module(TYPES, section(2, imports)));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const table = new WebAssembly.Table({ element: "anyfunc", initial: 1, maximum: 2 });
  const e = { f: () => {}, t: table, g: 7, memory };
  assert.instance(new WebAssembly.Instance(new WebAssembly.Module(shared), { e }), WebAssembly.Instance);
  const open = withSharedMemory(module(TYPES, section(2, [2, ...TABLE_WITHOUT_MAXIMUM, ...MEMORY])));
  assert.ok(WebAssembly.validate(open));
});

const REFUSED: readonly [bytes: Uint8Array<ArrayBuffer>, what: string][] = [
  [module(), "it imports no memory"],
  [module(TYPES), "it imports no memory"],
  [module(TYPES, section(2, [1, ...FUNCTION])), "it imports no memory"],
  [module(section(2, [1, ...imported("memory", [2, 0, 1])])), "its memory has no maximum"],
  [module(section(2, [1, ...imported("x", [9, 0])])), "it has an import of unknown kind 9"],
  [module([2, 0xff]), "it ends too early"],
  [module([2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]), "a number is too long"],
];

for (const [bytes, what] of REFUSED) {
  test(`refused: ${what} (${bytes.length} bytes)`, () => {
    throws(
      () => withSharedMemory(bytes),
      BackendError,
      `wasm: the kernels' module cannot be used (${what}). Install the package anew.`,
    );
  });
}

test.run();
