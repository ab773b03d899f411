/** What TypeScript and AssemblyScript must agree on without sharing a line: argument records, constants, the modules' memory. */
import { readdir, readFile } from "node:fs/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as argumentRecords from "#src/backend/wasm/arguments.js";
import { KC } from "#src/backend/wasm/conv-plan.js";
import { GRAIN_FLOATS } from "#src/backend/wasm/lowering/elementwise.js";
import { RANDOM_GRAIN } from "#src/backend/wasm/lowering/random.js";
import { allowRelaxedSimd } from "../helpers/relaxed.js";

const ROOT = new URL("../../", import.meta.url);

/** The records of arguments.ts by the names of their classes: BATCH_NORM_ARGUMENTS belongs to BatchNormArgs. */
const RECORDS = new Map(Object.entries(argumentRecords).map(([name, record]) => [classNameOf(name), record]));

function classNameOf(name: string): string {
  const words = name.replace("_ARGUMENTS", "").split("_");
  return `${words.map((word) => `${word[0]}${word.slice(1).toLowerCase()}`).join("")}Args`;
}

/** 4-byte types of AssemblyScript, as the host writes them. */
const HOST_TYPE: Readonly<Record<string, string>> = { usize: "u32", i32: "u32", u32: "u32", f32: "f32" };

async function assemblySources(): Promise<Map<string, string>> {
  const folder = new URL("assembly/", ROOT);
  const names = (await readdir(folder)).filter((name) => name.endsWith(".ts"));
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, folder), "utf8")] as const)),
  );
}

const sources = await assemblySources();

/** [name, host type] of every field of every @unmanaged class, in order. */
function unmanagedClasses(): Map<string, [string, string][]> {
  const classes = new Map<string, [string, string][]>();
  for (const source of sources.values()) {
    for (const [, name, body] of source.matchAll(/@unmanaged\s+(?:export\s+)?class\s+(\w+)\s*\{([^}]*)\}/g)) {
      const code = body.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      const fields = code
        .split(";")
        .map((line) => line.trim())
        .filter((line) => line !== "")
        .map((line): [string, string] => {
          const [field, type] = line.split(":").map((part) => part.trim());
          return [field, HOST_TYPE[type] ?? `${type}, which is not one of ${Object.keys(HOST_TYPE)}`];
        });
      classes.set(name, fields);
    }
  }
  return classes;
}

/** The value of `export const NAME: i32 = …;`. */
function assemblyConstant(file: string, name: string): number {
  const match = new RegExp(`export const ${name}: i32 = (\\d+);`).exec(sources.get(file) ?? "");
  if (!match) throw new Error(`assembly/${file} has no constant ${name}`);
  return Number(match[1]);
}

test("argument records: the classes of assembly/ are those of arguments.ts", () => {
  const mentioned = [...sources.values()].join("\n").match(/@unmanaged/g);
  assert.is(mentioned?.length, unmanagedClasses().size, "every @unmanaged class was parsed");
  assert.equal([...unmanagedClasses().keys()].sort(), [...RECORDS.keys()].sort());
});

for (const [name, record] of RECORDS) {
  test(`argument records: ${name} has the same fields in the same order`, () => {
    assert.equal(unmanagedClasses().get(name), Object.entries(record));
  });
}

test("constants: KC, GRAIN_FLOATS, RANDOM_GRAIN", () => {
  assert.is(assemblyConstant("gemm.ts", "KC"), KC);
  assert.is(assemblyConstant("elementwise.ts", "GRAIN_FLOATS"), GRAIN_FLOATS);
  assert.is(assemblyConstant("random.ts", "RANDOM_GRAIN"), RANDOM_GRAIN);
  assert.is(RANDOM_GRAIN % 8, 0, "the kernels draw 8 words at a time");
});

/** Sections of a module by number. */
function sectionsOf(bytes: Uint8Array): Map<number, Uint8Array> {
  const sections = new Map<number, Uint8Array>();
  let at = 8;
  while (at < bytes.length) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    sections.set(id, bytes.subarray(at, at + size));
    at += size;
  }
  return sections;
}

const START_SECTION = 8;
const DATA_SECTION = 11;
allowRelaxedSimd();

/** All .wasm files together, in bytes: they are fetched before anything can be computed. */
const MAX_WASM_BYTES = 150_000;

for (const build of ["kernels", "kernels-relaxed"] as const) {
  test(`${build}.wasm: imports env.memory and env.wide, has neither data segments nor a start function`, async () => {
    const bytes = new Uint8Array(await readFile(new URL(`dist/wasm/${build}.wasm`, ROOT)));
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes));
    assert.equal(imports, [
      { module: "env", name: "wide", kind: "global" },
      { module: "env", name: "memory", kind: "memory" },
    ]);
    const sections = sectionsOf(bytes);
    assert.is(sections.has(DATA_SECTION), false);
    assert.is(sections.has(START_SECTION), false);
  });
}

test("dist/wasm/ holds two files, together at most 150 kB", async () => {
  const folder = new URL("dist/wasm/", ROOT);
  const names = (await readdir(folder)).sort();
  assert.equal(names, ["kernels-relaxed.wasm", "kernels.wasm"]);
  const sizes = await Promise.all(names.map(async (name) => (await readFile(new URL(name, folder))).length));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total <= MAX_WASM_BYTES, `${total} bytes`);
});

test("kernels.wasm and kernels-relaxed.wasm export the same functions, one of them for every launch", async () => {
  const [plain, relaxed] = await Promise.all(
    ["kernels", "kernels-relaxed"].map(async (build) => {
      const module = new WebAssembly.Module(await readFile(new URL(`dist/wasm/${build}.wasm`, ROOT)));
      return WebAssembly.Module.exports(module)
        .filter(({ kind }) => kind === "function")
        .map(({ name }) => name);
    }),
  );
  assert.equal(plain, relaxed);
  const folder = new URL("src/backend/wasm/lowering/", ROOT);
  const texts = (await readdir(folder)).map((file) => readFile(new URL(file, folder), "utf8"));
  const lowering = (await Promise.all(texts)).join("\n");
  const launched = [...lowering.matchAll(/(?:launch|Launch|elementwise)\(\s*"(\w+)"/g)].map(([, name]) => name);
  assert.ok(launched.length > 30, `${launched.length} launches found`);
  assert.equal(
    launched.filter((name) => !plain.includes(name)),
    [],
  );
});

test.run();
