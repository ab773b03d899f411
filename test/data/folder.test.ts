import { mkdir, symlink } from "node:fs/promises";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DataError } from "#src/core/errors.js";
import { Random } from "#src/core/random.js";
import type { DataSplits, FolderDataset } from "#src/data/dataset.js";
import { folder } from "#src/data/folder.js";
import { openData } from "#src/data/open-data.js";
import { mixedLine, splitThree } from "#src/data/split.js";
import { failsWith, withFolder } from "./tiny-folder.js";

/** "class/file:label" of each picture of a set in a folder. */
function summary(set: FolderDataset, directory: string): string[] {
  return set.files.map((file, i) => `${path.relative(directory, file).split(path.sep).join("/")}:${set.labels[i]}`);
}

async function fails(files: Record<string, string>, text: (directory: string) => string): Promise<void> {
  await withFolder(files, (directory) => failsWith(folder(directory), DataError, text(directory)));
}

test("train, val, test: classes and files by code unit; other, hidden and nested files passed over", async () => {
  const files = {
    "train/b/2.png": "",
    "train/b/10.JPG": "",
    "train/b/Z.jpeg": "",
    "train/b/a.WebP": "",
    "train/b/a.gif": "",
    "train/b/notes.txt": "",
    "train/b/.hidden.png": "",
    "train/b/deeper/3.png": "",
    "train/Ä/1.png": "",
    "train/C/1.png": "",
    "train/.git/1.png": "",
    "train/readme.png": "",
    "val/b/1.png": "",
    "test/C/1.png": "",
    "test/b/1.png": "",
  };
  await withFolder(files, async (directory) => {
    await mkdir(path.join(directory, "train", "b", "folder.png"));
    const splits = await folder(directory);
    assert.equal(splits.train.classNames, ["C", "b", "Ä"]);
    assert.equal(summary(splits.train, directory), [
      "train/C/1.png:0",
      "train/b/10.JPG:1",
      "train/b/2.png:1",
      "train/b/Z.jpeg:1",
      "train/b/a.WebP:1",
      "train/Ä/1.png:2",
    ]);
    assert.equal(summary(splits.validation, directory), ["val/b/1.png:1"]);
    assert.equal(summary(splits.test, directory), ["test/C/1.png:0", "test/b/1.png:1"]);
    assert.equal(splits.test.classNames, splits.train.classNames);
    assert.equal(splits.notes, []);
    assert.equal([splits.train.channels, splits.train.name], [3, "folder train"]);
    assert.equal(await openData(`folder:${directory}`), splits);
  });
});

test("train and validation without test: the validation pictures again, and a note", async () => {
  await withFolder({ "train/a/1.png": "", "train/b/1.png": "", "validation/a/2.png": "" }, async (directory) => {
    const { validation, test: held, notes } = await folder(directory);
    assert.equal(held.files, validation.files);
    assert.equal(notes, [
      `There is no folder of test pictures in ${directory}: the test result is that of the validation pictures, by which training is steered.`,
    ]);
  });
});

test("train and test without validation: 4 of 20 by the seed, 2 of each class, and a note", async () => {
  const files: Record<string, string> = { "test/a/1.png": "" };
  for (let i = 0; i < 10; i++) for (const name of ["a", "b"]) files[`train/${name}/${i}.png`] = "";
  await withFolder(files, async (directory) => {
    const { train, validation, notes } = await folder(directory, { validationFraction: 0.2 });
    assert.equal([train.files.length, [...validation.labels].join("")], [16, "0011"]);
    assert.is(new Set([...train.files, ...validation.files]).size, 20);
    assert.equal(notes, [
      `There is no folder of validation pictures in ${directory}: 4 of the training pictures were set aside by the seed.`,
    ]);
  });
});

test("classes alone: 24 pictures split 15, 3, 6 by the seed; the same again, another with another seed", async () => {
  const files: Record<string, string> = {};
  for (let i = 0; i < 12; i++) for (const name of ["train", "val"]) files[`${name}/${i}.png`] = "";
  await withFolder(files, async (directory) => {
    const parts = ({ train, validation, test: held }: DataSplits<FolderDataset>): string[][] =>
      [train, validation, held].map((set) => summary(set, directory));
    const options = { validationFraction: 1 / 6, testFraction: 1 / 4, seed: 3 };
    const split = await folder(directory, options);
    const [train, validation, held] = parts(split);
    assert.equal([train.length, validation.length, held.length], [15, 3, 6]);
    assert.is(new Set([...train, ...validation, ...held]).size, 24);
    assert.equal(split.train.classNames, ["train", "val"]);
    assert.equal([...split.test.labels], [0, 0, 0, 1, 1, 1]);
    assert.equal(train, [...train].sort());
    assert.equal(parts(await folder(directory, options)), [train, validation, held]);
    assert.not.equal(parts(await folder(directory, { ...options, seed: 4 })), [train, validation, held]);
  });
});

test("splitThree: 300 random sets: all parts, disjoint, and every class in train", () => {
  const random = new Random(1, "sets");
  for (let round = 0; round < 300; round++) {
    const labels = Uint16Array.from({ length: 3 + random.integer(60) }, () => random.integer(5));
    const options = { seed: round, validationFraction: 0.1, testFraction: 1 / 6 };
    const { train, validation, test: held } = splitThree("test", labels, options);
    assert.ok(train.length > 0 && validation.length > 0 && held.length > 0);
    assert.equal(
      Int32Array.from([...train, ...validation, ...held]).sort(),
      Int32Array.from(labels, (_, i) => i),
    );
    if (labels.length >= 20) assert.equal(new Set(Array.from(train, (i) => labels[i])), new Set(labels));
  }
  const shares = mixedLine(
    Uint16Array.from({ length: 90 }, (_, i) => (i < 60 ? 0 : 1)),
    1,
  ).slice(0, 30);
  assert.is(shares.filter((i) => i < 60).length, 20);
});

test("bad folders: missing, empty, one class, empty class, unknown class, two of validation, two pictures", async () => {
  await failsWith(
    folder("no/such/place"),
    DataError,
    "folder: cannot be read (no/such/place ENOENT). Pass a folder that holds a folder of pictures for each class.",
  );
  await fails(
    { "a.png": "" },
    (directory) =>
      `folder: there are no classes (${directory} 0 folders). Put the pictures of each class into a folder of its own.`,
  );
  await fails(
    { "a/1.png": "" },
    (directory) =>
      `folder: there is one class alone (${path.join(directory, "a")}). A classifier needs two: add a folder for each other class.`,
  );
  await fails(
    { "train/a/1.png": "", "train/b/1.gif": "", "val/a/1.png": "" },
    (directory) =>
      `folder: a class has no pictures (${path.join(directory, "train", "b")} 0 PNG, JPEG or WebP files). Add some, or remove the folder.`,
  );
  await fails(
    { "train/a/1.png": "", "train/b/1.png": "", "val/c/1.png": "" },
    (directory) =>
      `folder: a class has no training pictures (${path.join(directory, "val", "c")}). Add a folder of that name to the training pictures, or remove this one.`,
  );
  await fails(
    { "train/a/1.png": "", "val/a/1.png": "", "validation/a/1.png": "" },
    (directory) =>
      `folder: there are two folders of validation pictures (${path.join(directory, "val")}, ${path.join(directory, "validation")}). Remove or rename one of them.`,
  );
  await fails(
    { "a/1.png": "", "b/1.png": "" },
    () => "folder: too few pictures to split in three (count 2). Pass at least three.",
  );
});

test("links: to a class and to a picture are followed, a circle is not walked, one that leads nowhere is an error", async () => {
  const files = { "train/a/1.png": "", "train/b/1.png": "", "val/a/1.png": "", "elsewhere/2.png": "" };
  await withFolder(files, async (directory) => {
    try {
      await symlink(path.join(directory, "elsewhere"), path.join(directory, "train", "c"), "junction");
      await symlink(path.join(directory, "train"), path.join(directory, "train", "a", "again"), "junction");
    } catch (error) {
      console.log(`SKIPPED: links cannot be made here (${String(error)})`);
      return;
    }
    assert.equal(summary((await folder(directory)).train, directory), [
      "train/a/1.png:0",
      "train/b/1.png:1",
      "train/c/2.png:2",
    ]);
    const loop = path.join(directory, "train", "loop");
    await symlink(loop, loop, "junction");
    await failsWith(folder(directory), DataError, `folder: a link leads nowhere (${loop} ELOOP). Repair or remove it.`);
  });
});

test.run();
