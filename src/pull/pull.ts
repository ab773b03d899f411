/** Published weights by name: fetched into the user's cache, or found there. manifest.ts knows the names, pull-entry.ts does the work. */
import path from "node:path";
import { isWhole } from "./cache.js";
import { manifestEntry, needManifestEntry } from "./manifest.js";
import { folderOf, pullEntry } from "./pull-entry.js";

/** How far a pull is. */
export interface PullProgress {
  /** `read`: what an earlier pull left is read; `download`: bytes come. */
  readonly phase: "read" | "download";
  readonly doneBytes: number;
  /** Within 1 kB: sizes are published in MiB. */
  readonly totalBytes: number;
  /** Of this pull, on average. */
  readonly bytesPerSecond: number;
}

/** How to pull; every part is optional. */
export interface PullOptions {
  /** Folder to keep the file in. By default VERYDEEP_CACHE, or `verydeep` in the user's folder for caches. */
  readonly dir?: string | undefined;
  /** Address of a folder that has the same files. By default VERYDEEP_MIRROR, or where they are published. */
  readonly mirror?: string | undefined;
  /** Stops the pull, which then throws the signal's reason; what has come is kept for the next one. */
  readonly signal?: AbortSignal | undefined;
  /** Called several times a second while bytes come. */
  readonly onProgress?: (progress: PullProgress) => void;
  /** Called with a sentence when something is waited for or tried again. */
  readonly onNote?: (message: string) => void;
}

/**
 * Fetches the published weights of a net, such as `vgg16` or `vgg16_bn`, and checks their size and SHA-256. Returns at once where they
 * have been fetched before; goes on where an earlier call was cut. Proxies of HTTPS_PROXY and HTTP_PROXY are used, but for NO_PROXY's hosts.
 * @returns the path of the file.
 * @throws UsageError for a name without published weights, a bad address or folder; WeightsError where the file cannot be had or is not
 * the one that is published.
 */
export async function pull(name: string, options: PullOptions = {}): Promise<string> {
  return pullEntry(needManifestEntry(name), options);
}

/**
 * The path of weights that {@link pull} fetched before; undefined where there are none, or no such net.
 * @throws UsageError where nothing says where the cache is.
 */
export async function cachedWeights(name: string, options: Pick<PullOptions, "dir"> = {}): Promise<string | undefined> {
  const entry = manifestEntry(name);
  if (entry === undefined) return undefined;
  const file = path.join(folderOf(options.dir), entry.file);
  return (await isWhole(file, entry)) ? file : undefined;
}
