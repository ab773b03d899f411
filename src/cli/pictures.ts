/** Which pictures a command means: files, folders, patterns such as "photos/*.jpg" where no shell has expanded them, addresses. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../core/errors.js";
import { errorCode } from "../io/atomic-file.js";

const PICTURE_SUFFIXES = new Set([".png", ".jpg", ".jpeg", ".webp"]);
const ADDRESS = /^https?:\/\//i;

/**
 * All pictures that are meant, in the order in which they are named, those of a folder or pattern by name.
 * @throws UsageError for a folder or pattern without pictures. What is neither is taken for a file, whether it is there or not.
 */
export async function expandPictures(names: readonly string[]): Promise<string[]> {
  const pictures: string[] = [];
  for (const name of names) {
    if (ADDRESS.test(name)) {
      pictures.push(name);
      continue;
    }
    const stats = await stat(name).catch(() => null);
    if (stats?.isDirectory()) pictures.push(...(await listPictures(name)));
    else if (stats === null && /[*?]/.test(name)) pictures.push(...(await matchPictures(name)));
    else pictures.push(name);
  }
  return pictures;
}

/**
 * The pictures of a folder, by name.
 * @throws UsageError where there are none.
 */
export async function listPictures(folder: string): Promise<string[]> {
  const names = await namesIn(folder, (error) => {
    throw new UsageError(
      `verydeep: the folder cannot be read (folder ${folder}, ${errorCode(error)}). Name a folder of pictures.`,
    );
  });
  const pictures = names.filter(isPicture);
  if (pictures.length === 0) {
    throw new UsageError(`verydeep: no picture in the folder (folder ${folder}). Put PNG, JPEG or WebP files there.`);
  }
  return pictures.map((name) => path.join(folder, name));
}

/** Files that a pattern names: * any part of a name, ? one character, ** any folders. */
async function matchPictures(pattern: string): Promise<string[]> {
  const parts = pattern.split(/[\\/]/);
  const root = path.parse(pattern).root;
  const found = await matchParts(root, root === "" ? parts : parts.slice(root.split(/[\\/]/).length - 1));
  const pictures = found.filter(isPicture);
  if (pictures.length === 0) {
    throw new UsageError(
      `verydeep: no picture has such a name (pattern ${pattern}). Patterns match PNG, JPEG and WebP files.`,
    );
  }
  return [...new Set(pictures)].sort();
}

async function matchParts(folder: string, [part, ...rest]: readonly string[]): Promise<string[]> {
  if (part === undefined) return [];
  if (!/[*?]/.test(part)) {
    const next = path.join(folder, part);
    const exists = await stat(next).catch(() => null);
    if (!exists) return [];
    return rest.length === 0 ? [next] : matchParts(next, rest);
  }
  const names = await namesIn(folder || ".", () => []);
  const found: string[] = [];
  if (part === "**") found.push(...(await matchParts(folder, rest)));
  const matches = part === "**" ? () => true : matcher(part);
  for (const name of names) {
    // A shell's star does not match hidden names either.
    if (name.startsWith(".") || !matches(name)) continue;
    const next = path.join(folder, name);
    const isFolder = (await stat(next).catch(() => null))?.isDirectory() ?? false;
    if (isFolder && part === "**") found.push(...(await matchParts(next, [part, ...rest])));
    else if (isFolder && rest.length > 0) found.push(...(await matchParts(next, rest)));
    else if (!isFolder && rest.length === 0) found.push(next);
  }
  return found;
}

/** Matches by hand, star by star: no pattern makes it slow. */
function matcher(pattern: string): (name: string) => boolean {
  return (name) => {
    let [p, n, star, mark] = [0, 0, -1, 0];
    while (n < name.length) {
      if (pattern[p] === "*") {
        star = p++;
        mark = n;
      } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === name[n])) {
        p++;
        n++;
      } else if (star !== -1) {
        p = star + 1;
        n = ++mark;
      } else {
        return false;
      }
    }
    while (pattern[p] === "*") p++;
    return p === pattern.length;
  };
}

/** Sorted by code unit: the same order on every machine. */
async function namesIn(folder: string, failed: (error: unknown) => string[]): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    return failed(error);
  }
}

function isPicture(file: string): boolean {
  return PICTURE_SUFFIXES.has(path.extname(file).toLowerCase());
}
