import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError, WeightsError } from "#src/core/errors.js";
import { checkWritable, renamePatiently } from "#src/io/atomic-file.js";
import { openSafetensors, writeSafetensors } from "#src/io/safetensors.js";
import { fails } from "./fails.js";

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-safetensors-"));
const file = path.join(folder, "a.safetensors");

const weight = Float32Array.from({ length: 30 }, (_, i) => (i - 15) / 7);
const bias = Float32Array.of(1.5, -0, Number.MIN_VALUE, 3e38, -1e-40);
const tensors = () => [
  { name: "features.0.weight", shape: [5, 3, 2, 1], chunks: chunks(weight, 7) },
  { name: "features.0.bias", shape: [5], chunks: chunks(bias, 5) },
  { name: "empty", shape: [0, 4], chunks: chunks(new Float32Array(0), 1) },
  { name: "scalar ☃", shape: [], chunks: [Float32Array.of(42)] },
];
const metadata = { format: "test", "a key": 'with "quotes" and ☃', empty: "" };

test("values that do not fill the shape: an error, the old file whole, nothing left over", async () => {
  await writeSafetensors(file, tensors(), metadata);
  const before = readFileSync(file);
  for (const [count, what] of [
    [29, "too few"],
    [31, "too many"],
  ] as const) {
    const wrong = [tensors()[1], { name: "w", shape: [5, 6], chunks: chunks(new Float32Array(count), 10) }];
    await fails(
      writeSafetensors(file, wrong),
      WeightsError,
      `writeSafetensors: ${what} values (tensor "w", values ${count}, shape [5,6] 30). Pass one for each element.`,
    );
  }
  assert.is(before.compare(readFileSync(file)), 0);
  assert.equal(readdirSync(folder), ["a.safetensors"]);
});

test("a source that throws in the middle: its error, the old file whole, nothing left over", async () => {
  await writeSafetensors(file, tensors());
  const before = readFileSync(file);
  async function* broken(): AsyncGenerator<Float32Array> {
    yield new Float32Array(3);
    throw new RangeError("engine lost");
  }
  await fails(writeSafetensors(file, [{ name: "w", shape: [30], chunks: broken() }]), RangeError, "engine lost");
  assert.is(before.compare(readFileSync(file)), 0);
  assert.equal(readdirSync(folder), ["a.safetensors"]);
});

test("names twice or reserved, shapes that are none", async () => {
  const one = { name: "w", shape: [1], chunks: [new Float32Array(1)] };
  await fails(
    writeSafetensors(file, [one, one]),
    WeightsError,
    'writeSafetensors: the name is taken (name "w"). Give each tensor a name of its own.',
  );
  await fails(
    writeSafetensors(file, [{ ...one, name: "__metadata__" }]),
    WeightsError,
    'the name is taken (name "__metadata__")',
  );
  await fails(
    writeSafetensors(file, [{ ...one, shape: [-1] }]),
    WeightsError,
    'writeSafetensors: the shape is none (tensor "w", shape [-1]).',
  );
});

test("paths that cannot be written, found early by checkWritable too", async () => {
  const device = process.platform === "win32" ? undefined : "/dev/null";
  const cases: [string, string][] = [
    ["", 'the path is empty (path "")'],
    [folder, `the path is a folder (path ${folder}). Name a file.`],
    [
      path.join(folder, "no", "x"),
      `the folder does not exist (folder ${path.join(folder, "no")}). Create it first, or choose another path.`,
    ],
    [
      path.join(file, "x"),
      process.platform === "win32"
        ? "the folder does not exist"
        : `a part of the path is not a folder (path ${path.join(file, "x")}).`,
    ],
    ...(device ? [[device, `the path is no regular file (path ${device}). Name a file.`] as [string, string]] : []),
  ];
  for (const [target, text] of cases) {
    await fails(writeSafetensors(target, tensors()), UsageError, `writeSafetensors: ${text}`);
    await fails(checkWritable("train", target), UsageError, `train: ${text}`);
  }
  await checkWritable("train", path.join(folder, "new"));
  assert.not.ok(existsSync(path.join(folder, "new")));
});

/** The user without rights of most Unix systems. */
const NOBODY = 65534;
if (process.platform === "win32") console.log("SKIPPED a read-only folder: Windows has no such mode");
else {
  test("a read-only folder", async () => {
    const locked = path.join(folder, "locked");
    mkdirSync(locked);
    chmodSync(locked, 0o555);
    // Root may write anywhere: for this it becomes somebody else.
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) {
      chmodSync(folder, 0o755);
      process.seteuid?.(NOBODY);
    }
    try {
      await fails(
        writeSafetensors(path.join(locked, "x"), tensors()),
        UsageError,
        "writeSafetensors: the folder or file is not writable",
      );
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
    chmodSync(locked, 0o755);
    rmSync(locked, { recursive: true });
  });
}

if (process.platform !== "win32") {
  test("through a link: the file it points to is replaced, the link stays", async () => {
    const link = path.join(folder, "link");
    symlinkSync("a.safetensors", link);
    await writeSafetensors(link, tensors(), { via: "link" });
    const source = await openSafetensors(file);
    assert.equal(source.metadata, { via: "link" });
    await source.close();
    assert.equal(readdirSync(folder).sort(), ["a.safetensors", "link"]);
    rmSync(link);
  });
}

test("two writers at once: one of them wins, whole", async () => {
  const write = (text: string) => writeSafetensors(file, tensors(), { text });
  await Promise.all(["a", "b", "c", "d"].map(write));
  const source = await openSafetensors(file);
  assert.equal(await source.read("features.0.weight"), weight);
  await source.close();
  assert.equal(readdirSync(folder), ["a.safetensors"]);
});

test("rename waits for a file that Windows holds, and gives up in the end", async () => {
  const attempt = async (
    platform: string,
    failures: number,
    code: string,
  ): Promise<{ tries: number; waits: number[]; failed: boolean }> => {
    let tries = 0;
    const waits: number[] = [];
    const rename = async (): Promise<void> => {
      if (++tries <= failures) throw Object.assign(new Error(code), { code });
    };
    const wait = async (milliseconds: number): Promise<void> => {
      waits.push(milliseconds);
    };
    const failed = await renamePatiently("a", "b", { platform, rename, wait }).then(
      () => false,
      () => true,
    );
    return { tries, waits, failed };
  };
  assert.equal(await attempt("win32", 3, "EPERM"), { tries: 4, waits: [10, 20, 40], failed: false });
  assert.equal(await attempt("win32", 99, "EBUSY"), {
    tries: 9,
    waits: [10, 20, 40, 80, 160, 320, 640, 1280],
    failed: true,
  });
  assert.equal(await attempt("linux", 1, "EPERM"), { tries: 1, waits: [], failed: true });
  assert.equal(await attempt("win32", 1, "ENOSPC"), { tries: 1, waits: [], failed: true });
});

test.after(() => rmSync(folder, { recursive: true, force: true }));

async function* chunks(values: Float32Array, size: number): AsyncGenerator<Float32Array> {
  for (let i = 0; i < values.length; i += size) yield values.subarray(i, i + size);
}

test.run();
