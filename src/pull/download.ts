/**
 * Fills a part file from a server until it is the file that is published: goes on after what is there, tries again after faults, up to a
 * number of times without getting on. What answers mean is decided in answer.ts; pull-entry.ts says where files go and who may write them.
 */
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { VerydeepError, WeightsError } from "../core/errors.js";
import { errorCode } from "../io/atomic-file.js";
import { judge, requestHeaders, type Verdict, versionOf } from "./answer.js";
import { isPublished } from "./cache.js";
import type { ManifestEntry } from "./manifest.js";
import type { PartFile } from "./part-file.js";
import { get, Patience, SilenceError, shown } from "./request.js";

/** Tries without getting on before it is given up. */
const TRIES = 6;
/** Getting on means a hundredth of the file more than ever before: no server can keep us for ever. */
const GAIN = 0.01;
/** Faults of the disk, which trying again does not mend. */
const DISK_CODES = new Set(["ENOSPC", "EDQUOT", "EIO", "EFBIG", "EROFS", "EBADF"]);

/** How patient to be; for tests. */
export interface DownloadHabits {
  /** After so long without a byte a server counts as gone. */
  readonly stallMs: number;
  /** The wait after the first fault; it doubles with each in a row. */
  readonly waitMs: number;
}

export const DEFAULT_HABITS: DownloadHabits = { stallMs: 30_000, waitMs: 1_000 };

/** What a download tells while it runs. */
export interface DownloadWatch {
  onBytes(done: number): void;
  /** Something went wrong, and is tried again. */
  onFault(message: string): void;
}

/** One answer's end: whole, or what was wrong with it. */
type Outcome = { readonly kind: "whole"; readonly inOneGo: boolean } | Extract<Verdict, { kind: "again" | "give-up" }>;

/**
 * Downloads until the part is the whole file.
 * @throws WeightsError where it cannot be had; the part remains, for another time, unless it is wrong. The reason of the signal.
 */
export async function download(
  entry: ManifestEntry,
  url: URL,
  part: PartFile,
  { stallMs, waitMs }: DownloadHabits,
  watch: DownloadWatch,
  signal?: AbortSignal,
): Promise<void> {
  let best = part.length;
  let faults = 0;
  let wrongFiles = 0;
  for (;;) {
    const outcome = await attempt(entry, url, part, stallMs, watch, signal);
    if (outcome.kind === "give-up") throw new WeightsError(`pull: ${outcome.why} (${shown(url)}). ${outcome.remedy}`);
    let why: string;
    if (outcome.kind === "whole") {
      const sha256 = part.sha256();
      if (isPublished(entry, part.length, sha256)) return;
      wrongFiles++;
      why = `the file is not the one that is published (${shown(url)}, ${part.length} bytes, SHA-256 ${sha256.slice(0, 8)}, published ${entry.sha256.slice(0, 8)})`;
      await part.restart(null);
      // Pieces of two files may have met; one file in one go is what the server has.
      if (outcome.inOneGo || wrongFiles > 1) {
        throw new WeightsError(`pull: ${why}. Name another mirror, with --mirror or VERYDEEP_MIRROR.`);
      }
    } else {
      why = `${outcome.why} (${shown(url)})`;
      if (outcome.fresh) await part.restart(null);
    }
    const gained = part.length >= best + GAIN * entry.maxBytes;
    best = Math.max(best, part.length);
    faults = gained ? 1 : faults + 1;
    if (faults >= TRIES) {
      throw new WeightsError(`pull: ${why}, ${TRIES} times in a row. Try again later; what has come is kept.`);
    }
    const wait = Math.max(waitMs * 2 ** (faults - 1), outcome.kind === "again" ? outcome.afterMs : 0);
    watch.onFault(`${why}: trying again`);
    await delay(wait, undefined, signal ? { signal } : {});
  }
}

/** One request and what came of it. Faults of the network are outcomes; those of the disk and of the signal are thrown. */
async function attempt(
  entry: ManifestEntry,
  url: URL,
  part: PartFile,
  stallMs: number,
  watch: DownloadWatch,
  signal?: AbortSignal,
): Promise<Outcome> {
  const have = part.length;
  if (have === entry.maxBytes) return { kind: "whole", inOneGo: false };
  const patience = new Patience(stallMs, signal);
  try {
    patience.start();
    // What one server said of a version means nothing to another.
    const version = part.version?.url === shown(url) ? part.version : null;
    const answer = await get(url, requestHeaders(have, version), patience);
    patience.stop();
    const { minBytes, maxBytes } = entry;
    const verdict = judge(answer.statusCode ?? 0, answer.headers, { have, minBytes, maxBytes, version });
    if (verdict.kind !== "append" && verdict.kind !== "restart") {
      answer.destroy();
      return verdict.kind === "complete" ? { kind: "whole", inOneGo: false } : verdict;
    }
    if (verdict.kind === "restart") await part.restart(versionOf(answer.headers, shown(url)));
    const limit = verdict.total ?? maxBytes;
    return await receive(
      answer,
      verdict.kind === "restart" ? verdict.encoding : "",
      limit,
      entry,
      part,
      patience,
      watch,
    );
  } catch (error) {
    signal?.throwIfAborted();
    return faultOf(patience.signal.aborted ? patience.signal.reason : error);
  } finally {
    patience.dispose();
  }
}

/** Appends a body to the part. @param limit how long the file is, or can be. */
async function receive(
  answer: IncomingMessage,
  encoding: string,
  limit: number,
  { minBytes }: ManifestEntry,
  part: PartFile,
  patience: Patience,
  watch: DownloadWatch,
): Promise<Outcome> {
  const inOneGo = part.length === 0;
  const body = unpacked(answer, encoding);
  try {
    patience.start();
    for await (const chunk of body) {
      patience.stop();
      patience.signal.throwIfAborted();
      if (part.length + chunk.length > limit) {
        return { kind: "again", why: `the server sends too many bytes (more than ${limit})`, fresh: true, afterMs: 0 };
      }
      await part.append(chunk);
      watch.onBytes(part.length);
      patience.start();
    }
  } finally {
    patience.stop();
    answer.destroy();
  }
  patience.signal.throwIfAborted();
  if (part.length >= minBytes) return { kind: "whole", inOneGo };
  return {
    kind: "again",
    why: `the server sends too few bytes (${part.length}, published ${minBytes})`,
    fresh: false,
    afterMs: 0,
  };
}

function unpacked(answer: IncomingMessage, encoding: string): Readable {
  const unpackers = { gzip: createGunzip, deflate: createInflate, br: createBrotliDecompress };
  if (encoding !== "gzip" && encoding !== "deflate" && encoding !== "br") return answer;
  const unpacker = unpackers[encoding]();
  answer.on("error", (error) => unpacker.destroy(error));
  answer.on("close", () => {
    if (!answer.complete) unpacker.destroy(new Error("the connection broke"));
  });
  return answer.pipe(unpacker);
}

/**
 * What a thrown error means.
 * @throws what trying again does not mend, as it is.
 */
function faultOf(error: unknown): Outcome {
  if (error instanceof VerydeepError || DISK_CODES.has(errorCode(error))) throw error;
  if (error instanceof SilenceError) return { kind: "again", why: error.message, fresh: false, afterMs: 0 };
  const message = error instanceof Error ? error.message : String(error);
  // hpagent's words for a tunnel that was refused.
  const status = Number(/^Bad response: (\d+)$/.exec(message)?.[1] ?? 0);
  if (status >= 400 && status < 500) {
    const remedy =
      status === 407
        ? "Put name and password into HTTPS_PROXY: http://NAME:PASSWORD@HOST:PORT."
        : "Ask whoever runs it, or name the host in NO_PROXY.";
    return { kind: "give-up", why: `the proxy answers ${status}`, remedy };
  }
  const code = errorCode(error);
  if (/CERT|^ERR_TLS|SIGNATURE/.test(code)) {
    const remedy = "If your network has a certificate of its own, name its file in the variable NODE_EXTRA_CA_CERTS.";
    return { kind: "give-up", why: `the server's certificate is not trusted: ${code}`, remedy };
  }
  return { kind: "again", why: `the connection failed: ${code || message}`, fresh: false, afterMs: 0 };
}
