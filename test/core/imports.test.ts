/**
 * The architecture as imports: who may import whom, and that values are never imported in a circle (types may: they are
 * gone at run time). Reads the sources; docs/architecture.md says why.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const SOURCE = fileURLToPath(new URL("../../src", import.meta.url));

/** Which parts a part of src/ may import, beside itself. A part is a folder, or a file at the top. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  vendor: [],
  backend: ["core", "vendor"],
  core: ["backend"],
  ops: ["backend", "core"],
  nn: ["backend", "core", "ops"],
  optim: ["core"],
  models: ["core", "ops", "nn"],
  pictures: ["core", "vendor"],
  io: ["core", "nn", "models", "vendor"],
  formats: ["core", "nn", "models", "io", "vendor"],
  data: ["core", "io", "pictures"],
  classify: ["core", "ops", "nn", "models", "data", "io", "formats", "pictures", "create-engine.ts"],
  train: ["core", "ops", "nn", "optim", "data"],
  profile: ["backend", "core", "ops", "nn", "optim"],
  pull: ["core", "io", "vendor", "cache-folder.ts"],
  report: ["core", "train", "io", "pictures", "vendor"],
  runs: ["core", "nn", "optim", "models", "data", "io", "train", "report"],
  "cache-folder.ts": [],
  "collect.ts": [],
  "create-engine.ts": ["backend", "core"],
  "cpu-quota.ts": [],
  "node-host.ts": ["backend", "collect.ts", "cpu-quota.ts", "create-engine.ts", "notes.ts"],
  "notes.ts": ["io", "cache-folder.ts"],
  "engine.ts": ["core", "create-engine.ts", "node-host.ts"],
  "engine-browser.ts": ["backend", "core", "create-engine.ts"],
  "portable.ts": [
    "backend",
    "core",
    "ops",
    "nn",
    "optim",
    "models",
    "data",
    "io",
    "pictures",
    "formats",
    "classify",
    "train",
    "profile",
    "report",
    "create-engine.ts",
  ],
  "load.ts": ["core", "io", "formats", "pictures", "classify", "pull", "engine.ts"],
  "save.ts": ["core", "io", "formats", "models", "classify"],
  "load-browser.ts": ["core", "io", "formats", "pictures", "classify", "engine-browser.ts", "create-engine.ts"],
  "index.ts": [
    "data",
    "io",
    "pictures",
    "pull",
    "train",
    "report",
    "runs",
    "engine.ts",
    "load.ts",
    "save.ts",
    "portable.ts",
  ],
  "browser.ts": ["pictures", "engine-browser.ts", "load-browser.ts", "portable.ts"],
  cli: [
    "backend",
    "core",
    "nn",
    "optim",
    "models",
    "data",
    "io",
    "pictures",
    "formats",
    "classify",
    "pull",
    "train",
    "runs",
    "profile",
    "engine.ts",
    "load.ts",
    "save.ts",
    "vendor",
  ],
};

/** The interface between core and the backends. */
const INTERFACE = "backend/backend.ts";
/** What a backend may import beside its own folder and the interface: no tensor, no tape, no operation. */
const BACKEND_MAY_IMPORT = ["core/errors.ts", "core/math.ts", "core/quantize.ts", "core/random.ts", "vendor/loader.ts"];
/** The one file that knows the backends by name; the hosts that it is given know what of the wasm backend is theirs. */
const KNOWS_BACKENDS = "create-engine.ts";
const HOSTS: Readonly<Record<string, readonly string[]>> = {
  "node-host.ts": ["backend/wasm/pool.ts", "backend/wasm/host.ts"],
  "engine-browser.ts": ["backend/wasm/web-pool.ts"],
};
/** What browsers load. */
const BROWSER_ENTRY = "browser.ts";

interface Import {
  readonly from: string;
  /** A path in src/, or a package. */
  readonly to: string;
  /** `import type`, `export type`: nothing remains of it at run time. */
  readonly typeOnly: boolean;
}

const STATIC =
  /^(?:import|export)\s+(type\s+)?(?:[\w$]+\s*,?\s*)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})?\s*(?:from\s+)?"([^"]+)"/gm;
const DYNAMIC = /\bimport\(\s*"([^"]+)"\s*\)/g;

function readImports(): { files: string[]; imports: Import[] } {
  const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
    .map((file) => file.split(path.sep).join("/"))
    .filter((file) => file.endsWith(".ts") || file.endsWith(".wgsl"));
  const imports = files.flatMap((from) => {
    const text = readFileSync(path.join(SOURCE, from), "utf8");
    const to = (name: string): string =>
      name.startsWith(".")
        ? path.posix.join(path.posix.dirname(from), name).replace(/(\.wgsl)?\.js$/, (_, shader) => shader ?? ".ts")
        : name;
    return [
      ...[...text.matchAll(STATIC)].map(([, type, name]) => ({ from, to: to(name), typeOnly: type !== undefined })),
      ...[...text.matchAll(DYNAMIC)].map(([, name]) => ({ from, to: to(name), typeOnly: false })),
    ];
  });
  return { files, imports };
}

const { files, imports } = readImports();
const inSource = imports.filter(({ to }) => files.includes(to));

function partOf(file: string): string {
  return file.split("/")[0];
}

/** `wasm` for backend/wasm/pool.ts; null for what is not a concrete backend's. */
function backendOf(file: string): string | null {
  return /^backend\/([^/]+)\//.exec(file)?.[1] ?? null;
}

function lines(found: readonly Import[]): string[] {
  return found.map(({ from, to }) => `${from} -> ${to}`);
}

/** The files of one circle of imports, the first again at the end; null where there is none. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    path.push(file);
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(file);
    return null;
  };
  for (const file of edges.keys()) {
    const cycle = visit(file);
    if (cycle) return cycle;
  }
  return null;
}

test("every relative import is found, and of a file that is there", () => {
  const missing = imports.filter(({ to }) => !files.includes(to) && (to.endsWith(".ts") || to.startsWith(".")));
  assert.equal(lines(missing), []);
  // The patterns above see all that looks like an import from somewhere.
  for (const from of files) {
    const text = readFileSync(path.join(SOURCE, from), "utf8");
    const expected = [...text.matchAll(/^(?:import|export|\}).*\bfrom "[^"]+";$/gm)].length;
    assert.ok(
      imports.filter((found) => found.from === from).length >= expected,
      `${from}: an import was not understood`,
    );
  }
});

test("no circle among imports of values", () => {
  const edges = new Map(files.map((file): [string, string[]] => [file, []]));
  for (const { from, to, typeOnly } of inSource) if (!typeOnly) edges.get(from)?.push(to);
  assert.is(findCycle(edges)?.join(" -> ") ?? "none", "none");
});

test("findCycle: finds one that is there", () => {
  const edges = new Map([
    ["a", ["b"]],
    ["b", ["c", "d"]],
    ["c", []],
    ["d", ["b"]],
  ]);
  assert.equal(findCycle(edges), ["b", "d", "b"]);
});

test("parts of src/ import only what lies below them", () => {
  assert.equal(
    [...new Set(files.map(partOf))].filter((part) => !(part in ALLOWED)),
    [],
  );
  const wrong = inSource.filter(({ from, to }) => {
    const [part, other] = [partOf(from), partOf(to)];
    return part !== other && !ALLOWED[part].includes(other);
  });
  assert.equal(lines(wrong), []);
});

test("the interface of the backends imports nothing", () => {
  assert.equal(lines(imports.filter(({ from }) => from === INTERFACE)), []);
});

test("a backend imports its own folder, the interface, and errors, math, random of core", () => {
  const wrong = inSource.filter(({ from, to }) => {
    const backend = backendOf(from);
    return backend !== null && backendOf(to) !== backend && to !== INTERFACE && !BACKEND_MAY_IMPORT.includes(to);
  });
  assert.equal(lines(wrong), []);
});

test(`only ${KNOWS_BACKENDS} knows a concrete backend, and the hosts their pools`, () => {
  const wrong = inSource.filter(({ from, to }) => {
    const backend = backendOf(to);
    return backend !== null && backendOf(from) !== backend && from !== KNOWS_BACKENDS && !HOSTS[from]?.includes(to);
  });
  assert.equal(lines(wrong), []);
});

test("nobody imports the command line", () => {
  assert.equal(lines(inSource.filter(({ from, to }) => partOf(to) === "cli" && partOf(from) !== "cli")), []);
});

test("packages are imported by vendor/ alone, but for piscina and Node's own", () => {
  const wrong = imports.filter(({ from, to }) => {
    const isPackage = !files.includes(to) && !to.endsWith(".ts");
    return isPackage && partOf(from) !== "vendor" && to !== "piscina" && !to.startsWith("node:");
  });
  assert.equal(lines(wrong), []);
});

test("core, ops, nn, optim and models import nothing of Node", () => {
  const pure = ["core", "ops", "nn", "optim", "models"];
  assert.equal(lines(imports.filter(({ from, to }) => pure.includes(partOf(from)) && to.startsWith("node:"))), []);
});

test(`${BROWSER_ENTRY} reaches nothing of Node and no package, statically or dynamically, but through vendor/`, () => {
  const reached = new Map<string, string>([[BROWSER_ENTRY, BROWSER_ENTRY]]);
  // A Map hands out what is added while it is walked.
  for (const [file, way] of reached) {
    for (const { from, to, typeOnly } of imports) {
      if (from === file && !typeOnly && !reached.has(to) && partOf(from) !== "vendor")
        reached.set(to, `${way} -> ${to}`);
    }
  }
  assert.equal(
    [...reached].filter(([file]) => !files.includes(file)).map(([, way]) => way),
    [],
  );
  // The walk went somewhere: kernels' backend behind a dynamic import, and vendor/ at the ends.
  for (const file of ["ops/conv2d.ts", "backend/wasm/wasm-backend.ts", "vendor/loader.ts", "vendor/pictures.ts"]) {
    assert.ok(reached.has(file), `${file} is not reached`);
  }
});

test.run();
