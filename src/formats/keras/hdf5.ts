/**
 * HDF5 files: groups, attributes and data sets as plain data, without reading the arrays. The parser (vendor/hdf5.ts) is synchronous: where
 * it touches a page that is not there yet it is stopped, the page is read, and the step is done over. Its work is counted, so that
 * a hostile file ends in an error. Arrays are hdf5-chunks.ts's.
 */
import { DamagedFileError, VerydeepError, WeightsError } from "../../core/errors.js";
import type { ByteReader } from "../../io/byte-reader.js";
import type { Hdf5Layout, Hdf5Object, Hdf5Storage, PagedFile } from "../../vendor/hdf5.js";

/** A data set. */
export interface Hdf5Dataset {
  /** Number and size of its elements as numpy spells them: "<f4". null for what is no number. */
  readonly dtype: string | null;
  readonly shape: readonly number[];
  readonly storage: Hdf5Storage;
}

/** Attributes that are texts or lists of texts; others are left out. */
export type Hdf5Attributes = ReadonlyMap<string, readonly string[]>;

/** A file's structure; paths are like "layers/conv2d/vars/0". */
export interface Hdf5File {
  /** In the order of the file's own lists. */
  readonly datasets: ReadonlyMap<string, Hdf5Dataset>;
  /** Of each group; the root's path is "". */
  readonly groups: ReadonlyMap<string, Hdf5Attributes>;
}

/** What is read at once: 64 KiB, which holds the structure between two arrays. */
const PAGE_BYTES = 2 ** 16;
/** One read of the parser: a heap with the texts of a group. */
const MAX_SLICE_BYTES = 2 ** 26;
/** Pages of structure that are kept: 256 MiB. */
const MAX_PAGES = 2 ** 12;
/** Groups and data sets. */
const MAX_OBJECTS = 100_000;
const MAX_DEPTH = 64;

/**
 * Accesses that the parser may make for the whole file, steps that are done over included; about a microsecond each. The file of a VGG-19 takes
 * 25 thousand, one of 500 layers 1.4 million (h5py 3.7, 64 KiB pages).
 */
const BUDGET = 8_000_000;

/**
 * Reads the structure of an HDF5 file.
 * @throws DamagedFileError for a file that is truncated, malformed or hostile, with the offset of the last access.
 */
export async function openHdf5(reader: ByteReader): Promise<Hdf5File> {
  const parser = await import("../../vendor/hdf5.js");
  const file = new Pages(reader);
  let left = BUDGET;

  /** Does a step of the parser until all its pages are there. */
  const step = async <T>(what: string, run: () => T): Promise<T> => {
    for (;;) {
      parser.setBudget(left);
      try {
        return run();
      } catch (error) {
        if (error instanceof MissingPages) {
          await file.fetch(error.begin, error.end);
        } else if (error instanceof parser.OverBudget) {
          throw file.damaged(what, "its structure has no end");
        } else if (error instanceof VerydeepError) {
          throw error;
        } else {
          throw file.damaged(what, error instanceof Error ? error.message : String(error));
        }
      } finally {
        left = parser.budgetLeft();
      }
    }
  };

  const datasets = new Map<string, Hdf5Dataset>();
  const groups = new Map<string, Hdf5Attributes>();
  const seen = new Set<number>();
  const walk = async (group: Hdf5Object, path: string, depth: number): Promise<void> => {
    groups.set(path, textsOf(await step(path, () => group.attributes())));
    for (const [name, address] of group.links()) {
      const inner = path === "" ? name : `${path}/${name}`;
      if (depth === MAX_DEPTH || seen.size === MAX_OBJECTS) throw file.damaged(inner, "it has too many groups");
      // Names with a meaning as paths are nobody's; a second way to the same object would lead around in a circle.
      if (name === "" || /^\.{1,2}$|\//.test(name) || seen.has(address)) continue;
      seen.add(address);
      const object = await step(inner, () => group.part(name));
      if (object.isDataset()) datasets.set(inner, checked(await step(inner, () => object.layout(file)), inner, file));
      else await walk(object, inner, depth + 1);
    }
  };
  const root = await step("", () => parser.Hdf5Object.root(file));
  seen.add(root.address);
  await walk(root, "", 0);
  return { datasets, groups };
}

/** Thrown into the parser, through it and out of it. */
class MissingPages extends Error {
  constructor(
    readonly begin: number,
    readonly end: number,
  ) {
    super("pages are missing");
  }
}

/** The file as the parser sees it. */
class Pages implements PagedFile {
  private readonly pages = new Map<number, DataView>();
  private last = 0;

  constructor(private readonly reader: ByteReader) {}

  locate(offset: number, sizeBytes: number): readonly [DataView, number] {
    this.last = offset;
    if (!(Number.isSafeInteger(offset) && offset >= 0 && offset + sizeBytes <= this.reader.sizeBytes)) {
      throw new RangeError("an address outside of the file");
    }
    const number = Math.floor(offset / PAGE_BYTES);
    const at = offset - number * PAGE_BYTES;
    const view = this.page(number);
    if (at + sizeBytes <= view.byteLength) return [view, at];
    return [new DataView(this.slice(offset, offset + sizeBytes)), 0];
  }

  slice(begin: number, end: number): ArrayBuffer {
    this.last = begin;
    const stop = Math.min(end, this.reader.sizeBytes);
    if (!(Number.isSafeInteger(begin) && begin >= 0 && begin <= stop && stop - begin <= MAX_SLICE_BYTES)) {
      throw new RangeError(`a range outside of the file, or too large (${begin} to ${end})`);
    }
    const numbers: number[] = [];
    for (let number = Math.floor(begin / PAGE_BYTES); number * PAGE_BYTES < stop; number++) numbers.push(number);
    const missing = numbers.filter((number) => !this.pages.has(number));
    if (missing.length > 0) throw this.missing(missing[0], (missing.at(-1) ?? 0) + 1);
    const bytes = new Uint8Array(stop - begin);
    for (const number of numbers) {
      const view = this.page(number);
      const from = Math.max(begin, number * PAGE_BYTES);
      const to = Math.min(stop, (number + 1) * PAGE_BYTES);
      bytes.set(new Uint8Array(view.buffer, view.byteOffset + from - number * PAGE_BYTES, to - from), from - begin);
    }
    return bytes.buffer;
  }

  /** Reads the pages of a range of bytes. */
  async fetch(begin: number, end: number): Promise<void> {
    const bytes = await this.reader.read(begin, end - begin);
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const size = Math.min(PAGE_BYTES, bytes.length - at);
      this.pages.set((begin + at) / PAGE_BYTES, new DataView(bytes.buffer, bytes.byteOffset + at, size));
    }
  }

  damaged(path: string, why: string): DamagedFileError {
    return new DamagedFileError(
      `load: ${this.reader.name} is damaged, or no HDF5 file that can be read (byte ${this.last}, ${JSON.stringify(path)}: ${why}). ` +
        "Download or save the file again.",
    );
  }

  private page(number: number): DataView {
    const page = this.pages.get(number);
    if (page) return page;
    throw this.missing(number, number + 1);
  }

  private missing(begin: number, end: number): Error {
    if (this.pages.size + end - begin > MAX_PAGES) {
      return new WeightsError(
        `load: the structure of ${this.reader.name} is too large (over ${MAX_PAGES * PAGE_BYTES} bytes). Save the weights alone.`,
      );
    }
    return new MissingPages(begin * PAGE_BYTES, Math.min(end * PAGE_BYTES, this.reader.sizeBytes));
  }
}

/** Texts among attributes, up to the first NUL: fixed-length ones are padded. */
function textsOf(attributes: readonly (readonly [string, unknown])[]): Hdf5Attributes {
  const texts = new Map<string, readonly string[]>();
  for (const [name, value] of attributes) {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    const strings = list.filter((item) => typeof item === "string");
    if (strings.length === list.length)
      texts.set(
        name,
        strings.map((text) => text.replace(/\0[\s\S]*$/, "")),
      );
  }
  return texts;
}

/** Checks a data set against the file's size. */
function checked(layout: Hdf5Layout, path: string, file: Pages): Hdf5Dataset {
  const { shape } = layout;
  const whole = shape.length <= 32 && shape.every((side) => Number.isSafeInteger(side) && side >= 0);
  if (whole && Number.isSafeInteger(shape.reduce((size, side) => size * side, 8))) return layout;
  throw file.damaged(path, `a shape that makes no sense, [${shape}]`);
}
