/**
 * What to ask a server for, and what to make of its answer: pure functions. A server is not trusted: it may know nothing of ranges, send
 * another range, another file, or lie about lengths. download.ts carries out the verdicts.
 */
import type { Version } from "./part-file.js";

/** Headers by their lower-case names. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What there is to do with an answer. */
export type Verdict =
  /** The body goes on where we are. */
  | { readonly kind: "append"; readonly total: number | null }
  /** The body is the whole file from its first byte, packed by `encoding` if that is not "". */
  | { readonly kind: "restart"; readonly total: number | null; readonly encoding: string }
  /** There is nothing more to come. */
  | { readonly kind: "complete" }
  /** Try again, not before `afterMs`; `fresh`: from the first byte. */
  | { readonly kind: "again"; readonly why: string; readonly fresh: boolean; readonly afterMs: number }
  /** It would be the same next time. */
  | { readonly kind: "give-up"; readonly why: string; readonly remedy: string };

/** What is known when an answer comes. */
export interface Question {
  /** How many bytes we have; 0 where the whole file was asked for. */
  readonly have: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly version: Version | null;
}

const PACKINGS = new Set(["gzip", "deflate", "br"]);
/** No server is waited for longer than this, whatever it asks. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * The headers that ask for the rest of a file: on condition that it is the version that we have the beginning of, if we can tell. A weak
 * ETag cannot be a condition, by RFC 9110.
 */
export function requestHeaders(have: number, version: Version | null): Record<string, string> {
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "verydeep" };
  if (have === 0) return headers;
  headers.range = `bytes=${have}-`;
  const etag = version?.etag ?? null;
  const condition = etag !== null && !etag.startsWith("W/") ? etag : (version?.lastModified ?? null);
  if (condition !== null) headers["if-range"] = condition;
  return headers;
}

/** What an answer says of the version of its file. */
export function versionOf(headers: Headers, url: string): Version {
  return { url, etag: text(headers, "etag") ?? null, lastModified: text(headers, "last-modified") ?? null };
}

/** Decides about an answer by its status and headers. */
export function judge(status: number, headers: Headers, question: Question): Verdict {
  if (status === 200) return judgeWhole(headers, question);
  if (status === 206) return judgeRange(headers, question);
  if (status === 416) return judgeUnsatisfiable(headers, question);
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return again(`the server answers ${status}`, false, retryAfterMs(text(headers, "retry-after")));
  }
  if (status < 300) return again(`the server answers ${status}, without the file`, true);
  const remedy =
    status === 404 || status === 410
      ? "The file is not there: name a mirror that has it, with --mirror or VERYDEEP_MIRROR."
      : status === 407
        ? "Put name and password into HTTPS_PROXY: http://NAME:PASSWORD@HOST:PORT."
        : "It does not hand the file out: name another mirror, with --mirror or VERYDEEP_MIRROR.";
  return { kind: "give-up", why: `the server answers ${status}`, remedy };
}

function judgeWhole(headers: Headers, question: Question): Verdict {
  const encoding = encodingOf(headers);
  if (encoding !== "") {
    // The length is that of the packed bytes.
    if (PACKINGS.has(encoding)) return { kind: "restart", total: null, encoding };
    return again(`the server packs the file (content-encoding ${encoding})`, true);
  }
  const length = text(headers, "content-length");
  if (length === undefined) return { kind: "restart", total: null, encoding };
  const total = Number(length);
  return isPossible(total, question) ? { kind: "restart", total, encoding } : again(otherFile(total, question), true);
}

function judgeRange(headers: Headers, question: Question): Verdict {
  const { have, version } = question;
  if (have === 0) return again("the server sends a part that nobody asked for", true);
  if (encodingOf(headers) !== "") return again("the server packs a part of the file", true);
  const range = text(headers, "content-range") ?? "";
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range) ?? [];
  if (first === undefined || Number(first) !== have || Number(last) < have) {
    return again(`the server sends another part than asked for (content-range ${range}, asked from ${have})`, true);
  }
  const total = size === "*" ? null : Number(size);
  if (total !== null && (!isPossible(total, question) || Number(last) >= total)) {
    return again(otherFile(total, question), true);
  }
  const etag = text(headers, "etag");
  if (version !== null && version.etag !== null && etag !== undefined && etag !== version.etag) {
    return again("the server has another version of the file by now", true);
  }
  return { kind: "append", total };
}

/** 416: the range begins behind the end, since we have all, or too much. */
function judgeUnsatisfiable(headers: Headers, question: Question): Verdict {
  const { have } = question;
  const size = /^bytes \*\/(\d+)$/.exec(text(headers, "content-range") ?? "")?.[1];
  const isAll = have > 0 && isPossible(have, question) && (size === undefined || Number(size) === have);
  return isAll ? { kind: "complete" } : again("the server answers 416, has no such part", true);
}

function isPossible(total: number, { minBytes, maxBytes }: Question): boolean {
  return total >= minBytes && total <= maxBytes;
}

function otherFile(total: number, { minBytes, maxBytes }: Question): string {
  const published = minBytes === maxBytes ? `${minBytes}` : `${minBytes} to ${maxBytes}`;
  return `the server has another file (${total} bytes, published ${published})`;
}

function again(why: string, fresh: boolean, afterMs = 0): Verdict {
  return { kind: "again", why, fresh, afterMs };
}

function encodingOf(headers: Headers): string {
  const encoding = text(headers, "content-encoding")?.trim().toLowerCase() ?? "";
  return encoding === "identity" ? "" : encoding;
}

/** Seconds, or a date, as milliseconds from now; 0 where it is neither. */
function retryAfterMs(value: string | undefined): number {
  if (value === undefined) return 0;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), MAX_RETRY_AFTER_MS) : 0;
}

function text(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
