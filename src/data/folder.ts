/**
 * Finds the pictures of a folder (Node), one folder a class:
 *
 *     DIR/train/CLASS/*  DIR/val/CLASS/* (or validation)  DIR/test/CLASS/*     the parts as they are; val and test may be missing
 *     DIR/CLASS/*                                                              or one set, split by the seed
 *
 * Pictures are PNG, JPEG and WebP by the ending of their name; other files, hidden ones, and folders within a class are passed over, so links
 * cannot lead in circles. Classes and files are in the order of their names' code units. Nothing is decoded here: that is folder-loader.ts's.
 */
import type { Dirent, Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { DataError } from "../core/errors.js";
import { errorCode } from "../io/atomic-file.js";
import { type DataSplits, type FolderDataset, partCount } from "./dataset.js";
import { folderReader } from "./folder-loader.js";
import { mixedLine, splitThree, TEST_FRACTION } from "./split.js";

/** What {@link folder} takes; all optional. */
export interface FolderOptions {
  /** Of the split where the folders do not say. Default 1. */
  readonly seed?: number;
  /** Part of the pictures that are not for testing, where there is no folder of validation pictures. Default 0.1. */
  readonly validationFraction?: number;
  /** Part of all pictures that is for testing, where there are no folders of parts. Default 1/6. */
  readonly testFraction?: number;
}

const PICTURE = /\.(?:png|jpe?g|webp)$/i;
/** Labels are 16 bits. */
const MAX_CLASSES = 65536;

/**
 * Lists the pictures of a folder. The paths are `path.join(directory, …)`.
 * @throws DataError for a folder that is missing or unreadable, no classes, one class alone, a class without pictures, a class in another part
 * that training lacks, or a link that leads nowhere; UsageError for a fraction or seed out of range.
 */
export async function folder(directory: string, options: FolderOptions = {}): Promise<DataSplits<FolderDataset>> {
  const { seed = 1, validationFraction = 0.1, testFraction = TEST_FRACTION } = options;
  const parts = await findParts(directory);
  if (parts === undefined) {
    const all = await readClasses(directory, "folder");
    const places = splitThree("folder", all.labels, { seed, validationFraction, testFraction });
    return {
      train: pick(all, "folder train", places.train),
      validation: pick(all, "folder validation", places.validation),
      test: pick(all, "folder test", places.test),
      notes: [],
    };
  }
  const notes: string[] = [];
  let train = await readClasses(parts.train, "folder train");
  let validation: FolderDataset;
  if (parts.validation !== undefined) {
    validation = await readClasses(parts.validation, "folder validation", train);
  } else {
    const count = partCount("folder", "validationFraction", train.labels.length, validationFraction);
    const line = mixedLine(train.labels, seed);
    validation = pick(train, "folder validation", line.slice(0, count).sort());
    train = pick(train, "folder train", line.slice(count).sort());
    notes.push(
      `There is no folder of validation pictures in ${directory}: ${count} of the training pictures were set aside by the seed.`,
    );
  }
  if (parts.test !== undefined)
    return { train, validation, test: await readClasses(parts.test, "folder test", train), notes };
  notes.push(
    `There is no folder of test pictures in ${directory}: the test result is that of the validation pictures, by which training is steered.`,
  );
  return { train, validation, test: { ...validation, name: "folder test" }, notes };
}

/** The folders of the parts; undefined where DIR/train is missing or has no folders (it may be a class of that name). */
async function findParts(
  directory: string,
): Promise<{ train: string; validation: string | undefined; test: string | undefined } | undefined> {
  const names = await subfolders(directory);
  const at = (name: string): string | undefined => (names.includes(name) ? path.join(directory, name) : undefined);
  const train = at("train");
  if (train === undefined || (await subfolders(train)).length === 0) return undefined;
  const val = at("val");
  const validation = at("validation");
  if (val !== undefined && validation !== undefined) {
    throw new DataError(
      `folder: there are two folders of validation pictures (${val}, ${validation}). Remove or rename one of them.`,
    );
  }
  return { train, validation: val ?? validation, test: at("test") };
}

/** All pictures of a folder of classes, those of the training set if it is given. */
async function readClasses(directory: string, name: string, train?: FolderDataset): Promise<FolderDataset> {
  const folders = await subfolders(directory);
  if (folders.length === 0) {
    throw new DataError(
      `folder: there are no classes (${directory} 0 folders). Put the pictures of each class into a folder of its own.`,
    );
  }
  if (train === undefined && folders.length === 1) {
    throw new DataError(
      `folder: there is one class alone (${path.join(directory, folders[0])}). A classifier needs two: add a folder for each other class.`,
    );
  }
  if (folders.length > MAX_CLASSES) {
    throw new DataError(
      `folder: there are too many classes (${directory} ${folders.length} folders). Pass ${MAX_CLASSES} at most.`,
    );
  }
  const classNames = train?.classNames ?? folders;
  const classOf = new Map(classNames.map((className, label) => [className, label]));
  const files: string[] = [];
  const labels: number[] = [];
  for (const className of folders) {
    const label = classOf.get(className);
    const place = path.join(directory, className);
    if (label === undefined) {
      throw new DataError(
        `folder: a class has no training pictures (${place}). Add a folder of that name to the training pictures, or remove this one.`,
      );
    }
    const pictures = await picturesOf(place);
    if (pictures.length === 0) {
      throw new DataError(
        `folder: a class has no pictures (${place} 0 PNG, JPEG or WebP files). Add some, or remove the folder.`,
      );
    }
    for (const picture of pictures) {
      files.push(path.join(place, picture));
      labels.push(label);
    }
  }
  return { name, classNames, channels: 3, labels: Uint16Array.from(labels), files, reader: folderReader };
}

/** Some of the pictures. */
function pick(set: FolderDataset, name: string, places: Int32Array): FolderDataset {
  return {
    ...set,
    name,
    files: Array.from(places, (place) => set.files[place]),
    labels: Uint16Array.from(places, (place) => set.labels[place]),
  };
}

async function subfolders(directory: string): Promise<string[]> {
  return names(directory, (entry) => entry.isDirectory());
}

async function picturesOf(directory: string): Promise<string[]> {
  return names(directory, (entry) => entry.isFile(), PICTURE);
}

/** Names of the entries that are of a kind, hidden ones left out, links followed; by code unit. */
async function names(directory: string, is: (entry: Dirent | Stats) => boolean, ending = /$/): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(directory, error);
  });
  const found: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".") || !ending.test(entry.name)) continue;
    const place = path.join(directory, entry.name);
    const kind = entry.isSymbolicLink() ? await followLink(place) : entry;
    if (is(kind)) found.push(entry.name);
  }
  return found.sort();
}

async function followLink(link: string): Promise<Stats> {
  return stat(link).catch((error: unknown) => {
    throw new DataError(`folder: a link leads nowhere (${link} ${errorCode(error)}). Repair or remove it.`);
  });
}

function unreadable(directory: string, error: unknown): DataError {
  return new DataError(
    `folder: cannot be read (${directory} ${errorCode(error)}). Pass a folder that holds a folder of pictures for each class.`,
  );
}
