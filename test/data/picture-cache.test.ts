import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { filesOf, read, TRAINING, withSet } from "./tiny-folder.js";

test("cache: damaged, cut and foreign entries are made anew; entries are found by content, not by name", async () => {
  await withSet(async (set, directory) => {
    const cacheDir = path.join(directory, "cache");
    const expected = await read(set, { ...TRAINING, cacheDir });
    const [first, second, third, fourth] = await filesOf(cacheDir);
    const whole = await readFile(first);
    const broken = Uint8Array.from(whole);
    broken[broken.length - 1] ^= 1;
    await writeFile(first, broken);
    await writeFile(second, whole.subarray(0, 50));
    await writeFile(third, "");
    await writeFile(fourth, whole);
    assert.equal(await read(set, { ...TRAINING, cacheDir }), expected);
    assert.equal(await readFile(first), whole);
    assert.not.equal(await readFile(fourth), whole);
    assert.is((await filesOf(cacheDir)).length, 48);
    // Reads entries at all: one with other pixels and a good checksum would show; a removed file's entry is left alone.
    const reversed = { ...set, files: [...set.files].reverse() };
    await read(reversed, { ...TRAINING, cacheDir });
    assert.is((await filesOf(cacheDir)).length, 48);
  });
});

test("cache: shared by two readers at once, and one that cannot be written is noted once", async () => {
  await withSet(async (set, directory) => {
    const expected = await read(set, TRAINING);
    const cacheDir = path.join(directory, "shared");
    const both = await Promise.all([
      read(set, { ...TRAINING, cacheDir, workers: 2 }),
      read(set, { ...TRAINING, cacheDir, workers: 2 }),
    ]);
    assert.equal(both, [expected, expected]);
    assert.is((await filesOf(cacheDir)).length, 48);
    const occupied = path.join(directory, "a file");
    await writeFile(occupied, "");
    const notes: string[] = [];
    const onNote = (text: string): void => void notes.push(text);
    assert.equal(await read(set, { ...TRAINING, cacheDir: occupied, workers: 2, onNote }), expected);
    assert.is(notes.length, 1);
    assert.match(
      notes[0],
      /^The cache cannot be written \(.*a file (ENOTDIR|EEXIST|ENOENT)\): pictures are decoded in every epoch\.$/,
    );
  });
});

test("cache: killed while it is written, 6 times; what is read then is whole", async () => {
  await withSet(async (set, directory) => {
    const cacheDir = path.join(directory, "killed");
    const expected = await read(set, TRAINING);
    const library = new URL("../../dist/data/folder-loader.js", import.meta.url).href;
    for (let round = 0; round < 6; round++) {
      const program = `
        import { FolderLoader, folderReader } from ${JSON.stringify(library)};
        const files = ${JSON.stringify(set.files)};
        const set = { name: "tiny", classNames: ["a"], channels: 3, labels: new Uint16Array(files.length), files, reader: folderReader };
        const options = { ...${JSON.stringify(TRAINING)}, cacheDir: ${JSON.stringify(cacheDir)} };
        for await (const batch of new FolderLoader(set, { ...options, batch: 1 }).epoch(${round})) console.log(batch.labels.length);`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      // After a few batches, so in the middle of one: SIGKILL leaves no time to clean up.
      let lines = 0;
      child.stdout.on("data", (text: Buffer) => {
        lines += text.toString().split("\n").length - 1;
        if (lines > 5 * round) child.kill("SIGKILL");
      });
      await once(child, "close");
      assert.ok(lines > 5 * round);
    }
    assert.equal(await read(set, { ...TRAINING, cacheDir, workers: 2 }), expected);
    const entries = (await filesOf(cacheDir)).filter((file) => !file.endsWith(".tmp"));
    assert.is(entries.length, 48);
  });
});

test.run();
