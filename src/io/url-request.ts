/**
 * One range of an address: asks, checks what the server says it sends, takes the body as it comes, and after a broken connection asks for
 * the rest. url-bytes.ts decides what is asked for.
 */
import { DamagedFileError, WeightsError } from "../core/errors.js";

/** Where to ask. */
export interface Address {
  readonly url: URL;
  /** For errors: without query, name and password. */
  readonly name: string;
  /** Whether ranges mean anything here. */
  readonly hasRanges: boolean;
  /** Aborted when the reader is closed. */
  readonly closed: AbortController;
  readonly stallMs: number;
  readonly maxWholeBytes: number;
}

/** What the first answer told. */
export interface OpenedAddress {
  readonly sizeBytes: number;
  /** Tag of the file's version, where the server gives one. */
  readonly version: string | null;
  /** The file's first bytes, as many as came. */
  readonly first: Uint8Array;
  /** The whole file, from a server without ranges. */
  readonly whole: Uint8Array | null;
}

/** Tries of one request, and again after each {@link PROGRESS_BYTES}. */
const TRIES = 5;
const PROGRESS_BYTES = 2 ** 20;
const FIRST_WAIT_MS = 100;
/** Of the server, for now: asked again. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

const MISBEHAVES = "The server does not keep to the rules of ranges: download the file, and load it from disk.";

/** A failure that may not be one the next time. */
class Broken extends Error {}

/**
 * The first bytes and the size of a file; all of it where the server gives no part.
 * @throws WeightsError
 */
export async function openAddress(address: Address, firstBytes: number): Promise<OpenedAddress> {
  if (!address.hasRanges) return wholeFile(address);
  return patiently(address, async (progress) => {
    const response = await ask(address, `bytes=0-${firstBytes - 1}`);
    // Of an empty file there is no first byte.
    if (response.status === 416 && /\/0$/.test(response.headers.get("content-range") ?? "")) {
      await response.body?.cancel();
      return { sizeBytes: 0, version: null, first: new Uint8Array(0), whole: new Uint8Array(0) };
    }
    check(address, response);
    if (response.status !== 206) return asWhole(await takeWhole(address, response));
    if (isEncoded(response)) {
      // A part of a packed stream is of no use.
      await response.body?.cancel();
      return wholeFile(address);
    }
    const range = rangeOf(response);
    const sizeBytes = range?.total ?? (await sizeByHead(address));
    const length = Math.min(firstBytes, sizeBytes);
    if (range && !fits(range, 0, length)) throw wrongRange(address, response, `0-${length - 1}`);
    const first = new Uint8Array(range?.end ?? length);
    await takeInto(address, response, first, progress);
    return { sizeBytes, version: versionOf(response), first, whole: null };
  });
}

/** Fills the target with the bytes from `offset` on. @throws WeightsError */
export async function fetchRange(
  address: Address,
  { sizeBytes, version }: OpenedAddress,
  offset: number,
  target: Uint8Array,
): Promise<void> {
  let done = 0;
  while (done < target.length) {
    // Once, unless the server gives less than asked for, or the connection breaks.
    await patiently(address, async (progress) => {
      const begin = offset + done;
      const end = offset + target.length;
      const response = await ask(address, `bytes=${begin}-${end - 1}`);
      check(address, response);
      const range = rangeOf(response);
      const found = versionOf(response);
      if ((range && range.total !== null && range.total !== sizeBytes) || (version && found && version !== found)) {
        await response.body?.cancel();
        throw new DamagedFileError(
          `load: ${address.name} changed while it was read (byte ${begin}). Load it again when it is no longer written.`,
        );
      }
      if (response.status !== 206 || isEncoded(response) || (range && !fits(range, begin, end))) {
        throw wrongRange(address, response, `${begin}-${end - 1}`);
      }
      await takeInto(address, response, target.subarray(done, (range?.end ?? end) - offset), (sizeTaken) => {
        done += sizeTaken;
        progress(sizeTaken);
      });
    });
  }
}

async function wholeFile(address: Address): Promise<OpenedAddress> {
  return patiently(address, async () => {
    const response = await ask(address, null);
    check(address, response);
    return asWhole(await takeWhole(address, response));
  });
}

function asWhole(whole: Uint8Array): OpenedAddress {
  return { sizeBytes: whole.length, version: null, first: whole, whole };
}

/** Does it again after what may pass, a few times, with longer and longer waits. */
async function patiently<T>(address: Address, attempt: (progress: (bytes: number) => void) => Promise<T>): Promise<T> {
  let failures = 0;
  let taken = 0;
  for (;;) {
    try {
      return await attempt((bytes) => {
        taken += bytes;
      });
    } catch (error) {
      if (address.closed.signal.aborted) {
        throw new WeightsError(`load: ${address.name} was closed while it was read. Open it again.`);
      }
      if (!(error instanceof Broken)) throw error;
      if (taken >= PROGRESS_BYTES) failures = 0;
      taken = 0;
      failures++;
      const tries = address.hasRanges ? TRIES : 1;
      if (failures === tries) {
        throw new WeightsError(
          `load: ${address.name} cannot be fetched (${error.message}, ${tries === 1 ? "one try" : `${tries} tries`}). Check the address and the connection.`,
        );
      }
      const waitMs = FIRST_WAIT_MS * 2 ** (failures - 1);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

async function ask(address: Address, range: string | null, method = "GET"): Promise<Response> {
  // Browsers leave the second one out and do the same of their own accord.
  const headers = range === null ? {} : { Range: range, "Accept-Encoding": "identity" };
  try {
    return await unstalled(address, (signal) => fetch(address.url, { method, headers, signal }));
  } catch (error) {
    throw broken(error);
  }
}

/** Waits for one thing of the network, but not for ever. */
async function unstalled<T>({ closed, stallMs }: Address, wait: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let giveUp: (reason: string) => void = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = (reason) => {
      reject(new Broken(reason));
      controller.abort();
    };
  });
  const timer = setTimeout(() => giveUp(`nothing came for ${stallMs} ms`), stallMs);
  const onClose = (): void => giveUp("closed");
  closed.signal.addEventListener("abort", onClose);
  if (closed.signal.aborted) onClose();
  try {
    return await Promise.race([givenUp, wait(controller.signal)]);
  } finally {
    clearTimeout(timer);
    closed.signal.removeEventListener("abort", onClose);
  }
}

function check(address: Address, response: Response): void {
  if (response.ok) return;
  response.body?.cancel().catch(() => undefined);
  const { status } = response;
  if (PASSING.has(status)) throw new Broken(`status ${status}`);
  if (status === 404 || status === 410) {
    throw new WeightsError(
      `load: there is no such file (address ${address.name}, status ${status}). Check the address.`,
    );
  }
  if (status === 401 || status === 403) {
    throw new WeightsError(
      `load: the server refuses the file (address ${address.name}, status ${status}). Download it with your account, and load it from disk.`,
    );
  }
  throw new WeightsError(
    `load: the server does not give the file (address ${address.name}, status ${status}). Check the address.`,
  );
}

/** Fills the target from the body; tells of each part that came. @throws Broken for a body that ends early. */
async function takeInto(
  address: Address,
  response: Response,
  target: Uint8Array,
  progress: (sizeBytes: number) => void,
): Promise<void> {
  let done = 0;
  for await (const part of parts(address, response)) {
    if (done + part.length > target.length) throw wrongRange(address, response, `${target.length} bytes`);
    target.set(part, done);
    done += part.length;
    progress(part.length);
  }
  if (done < target.length) throw new Broken(`${target.length - done} bytes are missing`);
}

async function takeWhole(address: Address, response: Response): Promise<Uint8Array> {
  // A packed body's length is that of the pack.
  const claimed = isEncoded(response) ? null : lengthOf(response);
  const tooLarge = (): WeightsError =>
    new WeightsError(
      `load: the server gives no parts of files, and this one is too large to be taken whole (address ${address.name}, limit ${address.maxWholeBytes} bytes). Download it, and load it from disk.`,
    );
  if (claimed !== null && claimed > address.maxWholeBytes) {
    await response.body?.cancel();
    throw tooLarge();
  }
  const taken: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of parts(address, response)) {
    sizeBytes += part.length;
    if (sizeBytes > address.maxWholeBytes) throw tooLarge();
    taken.push(part);
  }
  if (claimed !== null && sizeBytes < claimed)
    throw new Broken(`${claimed - sizeBytes} of ${claimed} bytes are missing`);
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const part of taken) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The body, as it comes. The connection is let go of however the walk ends. */
async function* parts(address: Address, response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await unstalled(address, () => reader.read()).catch((error: unknown) => {
        throw broken(error);
      });
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function sizeByHead(address: Address): Promise<number> {
  // Across origins, browsers show the length but not the range.
  const response = await ask(address, null, "HEAD");
  check(address, response);
  const length = isEncoded(response) ? null : lengthOf(response);
  if (length !== null) return length;
  throw new WeightsError(
    `load: the server does not tell how large the file is (address ${address.name}). Download it, and load it from disk.`,
  );
}

function wrongRange(address: Address, response: Response, wanted: string): WeightsError {
  response.body?.cancel().catch(() => undefined);
  const found = response.headers.get("content-range") ?? `status ${response.status}`;
  return new WeightsError(
    `load: ${address.name} came in other parts than asked for (${wanted}, got ${found}). ${MISBEHAVES}`,
  );
}

interface AnsweredRange {
  readonly begin: number;
  /** Exclusive. */
  readonly end: number;
  readonly total: number | null;
}

/** A server may give less than it was asked for, but not something else. */
function fits(range: AnsweredRange, begin: number, end: number): boolean {
  return range.begin === begin && range.end > begin && range.end <= end;
}

/** The range of an answer; null where it says nothing that can be read. */
function rangeOf(response: Response): AnsweredRange | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(response.headers.get("content-range") ?? "");
  if (!match) return null;
  return { begin: Number(match[1]), end: Number(match[2]) + 1, total: match[3] === "*" ? null : Number(match[3]) };
}

function lengthOf(response: Response): number | null {
  const text = response.headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function isEncoded(response: Response): boolean {
  return !/^(identity)?$/.test(response.headers.get("content-encoding") ?? "");
}

function versionOf(response: Response): string | null {
  return response.headers.get("etag");
}

function broken(error: unknown): Broken {
  if (error instanceof Broken) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return new Broken(cause instanceof Error ? cause.message : String(cause));
}
