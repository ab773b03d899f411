/**
 * Addresses as bytes that are read in ranges (byte-reader.ts), by `fetch` alone: works wherever JavaScript does. A server that knows no
 * ranges is asked once for everything, kept in memory. One request and its repetitions are url-request.ts's.
 *
 * ```text
 * small reads:   blocks of 256 KiB, the last 32 of them kept    so that walking a header costs few requests
 * larger ones:   one request, from the network into the target
 * ```
 */
import { WeightsError } from "../core/errors.js";
import { type ByteReader, bytesReader, checkRange, siblingName } from "./byte-reader.js";
import { type Address, fetchRange, openAddress } from "./url-request.js";

const BLOCK_BYTES = 2 ** 18;
/** Blocks that are kept: 8 MiB. */
const MAX_BLOCKS = 32;

/** What tests change. */
export interface UrlOptions {
  /** Without a byte for this long, a request is given up and made again. Default 30 s. */
  readonly stallMs?: number;
  /** The largest file taken whole from a server without ranges. Default 2 GiB. */
  readonly maxWholeBytes?: number;
}

/**
 * Opens an address: http, https, and whatever else `fetch` knows where this runs (data:, blob:, file: in some).
 * @throws WeightsError for an address that is none, a file that is not there, and a server that does not keep to the rules of ranges.
 */
export async function openUrlBytes(url: string | URL, options: UrlOptions = {}): Promise<ByteReader> {
  const address = parseAddress(url, options);
  const opened = await openAddress(address, BLOCK_BYTES);
  const sibling = async (name: string): Promise<ByteReader> => {
    const parts = siblingName(name, address.name).map(encodeURIComponent);
    if (URL.canParse(parts.join("/"), address.url)) return openUrlBytes(new URL(parts.join("/"), address.url), options);
    throw new WeightsError(
      `load: nothing lies beside ${address.name} (file ${JSON.stringify(name)}). Give the bytes of all files together, by name.`,
    );
  };
  if (opened.whole) return { ...bytesReader(opened.whole, address.name), sibling };

  const { sizeBytes } = opened;
  const blocks = new BlockCache((index) => {
    const block = new Uint8Array(Math.min(BLOCK_BYTES, sizeBytes - index * BLOCK_BYTES));
    return fetchRange(address, opened, index * BLOCK_BYTES, block).then(() => block);
  });
  if (opened.first.length === Math.min(BLOCK_BYTES, sizeBytes)) blocks.put(0, opened.first);

  const readInto = async (offset: number, target: Uint8Array): Promise<void> => {
    checkRange(address.name, sizeBytes, offset, target.byteLength);
    if (target.byteLength > BLOCK_BYTES) return fetchRange(address, opened, offset, target);
    const end = offset + target.byteLength;
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / BLOCK_BYTES);
      const begin = at - index * BLOCK_BYTES;
      const block = await blocks.get(index);
      const part = block.subarray(begin, begin + end - at);
      target.set(part, at - offset);
      at += part.length;
    }
  };
  return {
    name: address.name,
    sizeBytes,
    async read(offset, wanted) {
      checkRange(address.name, sizeBytes, offset, wanted);
      const bytes = new Uint8Array(wanted);
      await readInto(offset, bytes);
      return bytes;
    },
    readInto,
    sibling,
    async close() {
      address.closed.abort();
      blocks.clear();
    },
  };
}

/** The blocks that were asked for last. A block under way is asked for once; one that failed is forgotten. */
class BlockCache {
  private readonly blocks = new Map<number, Promise<Uint8Array>>();

  constructor(private readonly fetchBlock: (index: number) => Promise<Uint8Array>) {}

  get(index: number): Promise<Uint8Array> {
    const block = this.blocks.get(index) ?? this.fetchBlock(index);
    this.put(index, block);
    return block;
  }

  put(index: number, block: Promise<Uint8Array> | Uint8Array): void {
    const promise = Promise.resolve(block);
    this.blocks.delete(index);
    this.blocks.set(index, promise);
    promise.catch(() => {
      if (this.blocks.get(index) === promise) this.blocks.delete(index);
    });
    const [oldest] = this.blocks.keys();
    if (this.blocks.size > MAX_BLOCKS) this.blocks.delete(oldest);
  }

  clear(): void {
    this.blocks.clear();
  }
}

function parseAddress(url: string | URL, { stallMs = 30_000, maxWholeBytes = 2 ** 31 }: UrlOptions): Address {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new WeightsError(`load: this is no address (address ${String(url)}). Begin it with https:// and a host.`);
  }
  const isData = parsed.protocol === "data:";
  return {
    url: parsed,
    // Without its query, where signatures and keys are.
    name: isData ? "the data: address" : parsed.href.replace(/[?#].*$/, "").replace(/\/\/[^/@]*@/, "//"),
    hasRanges: parsed.protocol === "http:" || parsed.protocol === "https:",
    closed: new AbortController(),
    stallMs,
    maxWholeBytes,
  };
}
