/**
 * PNG (W3C recommendation, third edition): decodes every colour type, depth and interlacing to 8-bit RGB, transparency over white;
 * encodes 8-bit RGB. Chunk checksums are checked and memory is bounded by the size in the header, which fast-png does not do (it also
 * misreads interlaced pictures below 8 bits); zlib itself is fflate's, through vendor/pictures.ts.
 */

import { joinBytes } from "../core/bytes.js";
import { DataError, UsageError } from "../core/errors.js";
import { MAX_PIXELS, overWhite, type Picture } from "./pixels.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

const GREY = 0;
const RGB = 2;
const PALETTE = 3;
const GREY_ALPHA = 4;
const RGB_ALPHA = 6;

/** Samples a pixel and allowed bits a sample, by colour type. */
const COLOUR_TYPES: Readonly<Record<number, { samples: number; depths: readonly number[] }>> = {
  [GREY]: { samples: 1, depths: [1, 2, 4, 8, 16] },
  [RGB]: { samples: 3, depths: [8, 16] },
  [PALETTE]: { samples: 1, depths: [1, 2, 4, 8] },
  [GREY_ALPHA]: { samples: 2, depths: [8, 16] },
  [RGB_ALPHA]: { samples: 4, depths: [8, 16] },
};

/** Which pixels one pass over the picture brings: every (dx, dy)-th from (x, y). */
interface Pass {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
}

const WHOLE: readonly Pass[] = [{ x: 0, y: 0, dx: 1, dy: 1 }];
const ADAM7: readonly Pass[] = [
  { x: 0, y: 0, dx: 8, dy: 8 },
  { x: 4, y: 0, dx: 8, dy: 8 },
  { x: 0, y: 4, dx: 4, dy: 8 },
  { x: 2, y: 0, dx: 4, dy: 4 },
  { x: 0, y: 2, dx: 2, dy: 4 },
  { x: 1, y: 0, dx: 2, dy: 2 },
  { x: 0, y: 1, dx: 1, dy: 2 },
];

/** All that the chunks say. */
interface Png {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  readonly samples: number;
  readonly passes: readonly Pass[];
  palette: Uint8Array | undefined;
  /** Chunk tRNS: alphas of the palette, or the one transparent colour. */
  transparency: Uint8Array | undefined;
  readonly data: Uint8Array[];
}

/** Whether the bytes begin as a PNG does. */
export function isPng(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/**
 * Decodes a PNG.
 * @param name what to call it in errors.
 * @throws DataError for one that is truncated, damaged, empty, or above 100 megapixels.
 */
export async function decodePng(bytes: Uint8Array, name: string): Promise<Picture> {
  const png = readChunks(bytes, name);
  const raw = new Uint8Array(filteredSize(png));
  const { inflate } = await import("../vendor/pictures.js");
  let filled = 0;
  try {
    filled = inflate(joinBytes(png.data), raw).length;
  } catch (error) {
    throw damaged(name, error instanceof Error ? error.message : String(error));
  }
  if (filled < raw.length) throw damaged(name, `${filled} bytes of pixels, expected ${raw.length}`);
  return { width: png.width, height: png.height, pixels: readPasses(png, raw, name) };
}

/**
 * Encodes an 8-bit RGB picture. Equal pictures give equal bytes.
 * @throws UsageError where the pixels do not fill the size.
 */
export async function encodePng({ width, height, pixels }: Picture): Promise<Uint8Array> {
  if (!(width >= 1 && height >= 1) || pixels.length !== width * height * 3) {
    throw new UsageError(
      `encodePng: the pixels do not fill the picture (width ${width}, height ${height}, pixels ${pixels.length}). ` +
        "Pass three bytes for each pixel.",
    );
  }
  const { deflate } = await import("../vendor/pictures.js");
  const lineBytes = width * 3;
  const raw = new Uint8Array(height * (lineBytes + 1));
  for (let y = 0; y < height; y++) {
    raw.set(pixels.subarray(y * lineBytes, (y + 1) * lineBytes), y * (lineBytes + 1) + 1);
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, RGB], 8);
  return joinBytes([
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", header),
    chunk("IDAT", deflate(raw)),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function damaged(name: string, what: string): DataError {
  return new DataError(`decodePicture: the PNG ${name} is truncated or damaged (${what}). Get the file again.`);
}

/** Walks the chunks to the end; those that do not change pixels (text, profiles, times) are passed over. */
function readChunks(bytes: Uint8Array, name: string): Png {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let png: Png | undefined;
  for (let at = SIGNATURE.length; ; ) {
    if (at + 12 > bytes.length) throw damaged(name, `it ends at byte ${bytes.length}, before its end mark`);
    const length = view.getUint32(at);
    const end = at + 12 + length;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (end > bytes.length)
      throw damaged(name, `chunk ${JSON.stringify(type)} ends at byte ${end}, file ${bytes.length} bytes`);
    if (view.getUint32(end - 4) !== crc32(bytes.subarray(at + 4, end - 4))) {
      throw damaged(name, `checksum of chunk ${JSON.stringify(type)} at byte ${at}`);
    }
    const content = bytes.subarray(at + 8, end - 4);
    at = end;
    if (!png) {
      if (type !== "IHDR" || length !== 13)
        throw damaged(name, `first chunk ${JSON.stringify(type)} of ${length} bytes`);
      png = readHeader(content, name);
    } else if (type === "PLTE") {
      png.palette = content;
    } else if (type === "tRNS") {
      png.transparency = content;
    } else if (type === "IDAT") {
      png.data.push(content);
    } else if (type === "IEND") {
      break;
    } else if ((bytes[at - length - 8] & 0x20) === 0) {
      // Bit 5 of the first letter is 0: one cannot show the picture without knowing this chunk.
      throw damaged(name, `unknown critical chunk ${JSON.stringify(type)}`);
    }
  }
  if (png.data.length === 0) throw damaged(name, "no pixels");
  if (png.colourType === PALETTE && (!png.palette || png.palette.length % 3 !== 0)) throw damaged(name, "no palette");
  const transparencyBytes = { [GREY]: 2, [RGB]: 6 }[png.colourType];
  if (transparencyBytes !== undefined && png.transparency && png.transparency.length !== transparencyBytes) {
    throw damaged(name, `transparent colour of ${png.transparency.length} bytes`);
  }
  return png;
}

function readHeader(content: Uint8Array, name: string): Png {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const width = view.getUint32(0);
  const height = view.getUint32(4);
  const [depth, colourType, compression, filter, interlace] = content.subarray(8);
  if (width === 0 || height === 0) {
    throw new DataError(
      `decodePicture: the PNG ${name} has no pixels (width ${width}, height ${height}). Get the file again.`,
    );
  }
  if (width * height > MAX_PIXELS) {
    throw new DataError(
      `decodePicture: the PNG ${name} is above 100 megapixels (width ${width}, height ${height}). Make it smaller.`,
    );
  }
  const colour = Object.hasOwn(COLOUR_TYPES, colourType) ? COLOUR_TYPES[colourType] : undefined;
  if (!colour?.depths.includes(depth)) throw damaged(name, `colour type ${colourType} with depth ${depth}`);
  if (compression !== 0 || filter !== 0 || interlace > 1) {
    throw damaged(name, `compression ${compression}, filter ${filter}, interlace ${interlace}`);
  }
  return {
    width,
    height,
    depth,
    colourType,
    samples: colour.samples,
    passes: interlace === 1 ? ADAM7 : WHOLE,
    palette: undefined,
    transparency: undefined,
    data: [],
  };
}

/** Width, height and bytes a line of the pixels that a pass brings. */
function passSize({ width, height, depth, samples }: Png, { x, y, dx, dy }: Pass) {
  const passWidth = Math.max(0, Math.ceil((width - x) / dx));
  const passHeight = passWidth === 0 ? 0 : Math.max(0, Math.ceil((height - y) / dy));
  return { passWidth, passHeight, lineBytes: Math.ceil((passWidth * depth * samples) / 8) };
}

/** Bytes of all lines of all passes, each with its filter byte. */
function filteredSize(png: Png): number {
  return png.passes.reduce((sum, pass) => {
    const { passHeight, lineBytes } = passSize(png, pass);
    return sum + passHeight * (lineBytes + 1);
  }, 0);
}

function readPasses(png: Png, raw: Uint8Array, name: string): Uint8Array {
  const pixels = new Uint8Array(png.width * png.height * 3);
  const paint = painter(png, name);
  const pixelBytes = Math.max(1, (png.depth * png.samples) / 8);
  const mask = 2 ** png.depth - 1;
  const samples = [0, 0, 0, 0];
  let at = 0;
  for (const pass of png.passes) {
    const { passWidth, passHeight, lineBytes } = passSize(png, pass);
    let above: Uint8Array = new Uint8Array(lineBytes);
    for (let row = 0; row < passHeight; row++) {
      const line = raw.subarray(at + 1, at + 1 + lineBytes);
      unfilter(raw[at], line, above, pixelBytes, name);
      for (let column = 0; column < passWidth; column++) {
        for (let s = 0; s < png.samples; s++) {
          const i = column * png.samples + s;
          const bit = i * png.depth;
          if (png.depth === 16) samples[s] = line[i * 2] * 256 + line[i * 2 + 1];
          else samples[s] = (line[bit >> 3] >> (8 - png.depth - (bit & 7))) & mask;
        }
        const x = pass.x + column * pass.dx;
        const y = pass.y + row * pass.dy;
        paint(samples, pixels, (y * png.width + x) * 3);
      }
      above = line;
      at += lineBytes + 1;
    }
  }
  return pixels;
}

/** Undoes a line's filter, in place (section 9.2): each byte was stored less a prediction from its left, upper and upper left neighbour. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, pixelBytes: number, name: string): void {
  if (filter > 4) throw damaged(name, `line filter ${filter}`);
  if (filter === 0) return;
  for (let i = 0; i < line.length; i++) {
    const left = i >= pixelBytes ? line[i - pixelBytes] : 0;
    const up = above[i];
    if (filter === 1) line[i] += left;
    else if (filter === 2) line[i] += up;
    else if (filter === 3) line[i] += (left + up) >> 1;
    else line[i] += paeth(left, up, i >= pixelBytes ? above[i - pixelBytes] : 0);
  }
}

/** The neighbour nearest to left + up - upperLeft. */
function paeth(left: number, up: number, upperLeft: number): number {
  const estimate = left + up - upperLeft;
  const toLeft = Math.abs(estimate - left);
  const toUp = Math.abs(estimate - up);
  const toUpperLeft = Math.abs(estimate - upperLeft);
  if (toLeft <= toUp && toLeft <= toUpperLeft) return left;
  return toUp <= toUpperLeft ? up : upperLeft;
}

/** Writes one pixel, given its samples, as RGB at `pixels[at]`. */
type Paint = (samples: readonly number[], pixels: Uint8Array, at: number) => void;

function painter({ colourType, depth, palette, transparency }: Png, name: string): Paint {
  const max = 2 ** depth - 1;
  if (colourType === PALETTE && palette) {
    return ([index], pixels, at) => {
      if (index * 3 >= palette.length) throw damaged(name, `colour ${index} of a palette of ${palette.length / 3}`);
      const alpha = transparency && index < transparency.length ? transparency[index] : 255;
      for (let c = 0; c < 3; c++) pixels[at + c] = overWhite(palette[index * 3 + c], alpha, 255);
    };
  }
  const grey = colourType === GREY || colourType === GREY_ALPHA;
  const colours = grey ? 1 : 3;
  const hasAlpha = colourType === GREY_ALPHA || colourType === RGB_ALPHA;
  const key = transparency && !hasAlpha ? transparentColour(transparency) : undefined;
  return (samples, pixels, at) => {
    const clear = key?.every((value, c) => samples[c] === value);
    const alpha = hasAlpha ? samples[colours] : clear ? 0 : max;
    for (let c = 0; c < 3; c++) pixels[at + c] = overWhite(samples[grey ? 0 : c], alpha, max);
  };
}

/** Chunk tRNS of a picture without palette: one 16-bit sample a channel. */
function transparentColour(bytes: Uint8Array): number[] {
  return Array.from({ length: bytes.length / 2 }, (_, c) => bytes[c * 2] * 256 + bytes[c * 2 + 1]);
}

function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, crc32(bytes.subarray(4, content.length + 8)));
  return bytes;
}

/** What one byte does to a CRC-32 (annex D). */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

/** CRC-32 of a chunk's type and content. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
