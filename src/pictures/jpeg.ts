/**
 * JPEG (ITU T.81): checks the file's structure, hands what matters for the pixels to the host's codec, and turns the picture as its EXIF
 * orientation says (orientation.ts). The walk over the segments comes first: it bounds memory and time by the size of the file, and finds a
 * missing end, which codecs paint grey.
 */

import { joinBytes } from "../core/bytes.js";
import { DataError, VerydeepError } from "../core/errors.js";
import { exifOrientation, turn } from "./orientation.js";
import { type Codecs, MAX_PIXELS, type Picture } from "./pixels.js";

const START_OF_IMAGE = 0xd8;
const END_OF_IMAGE = 0xd9;
const START_OF_SCAN = 0xda;
const EXIF = 0xe1;
const ADOBE = 0xee;

/** Frames that codecs decode: baseline, extended sequential, progressive, with Huffman codes. */
const SUPPORTED_FRAMES = new Set([0xc0, 0xc1, 0xc2]);
/** Not frames, though numbered among them: Huffman tables, an extension, arithmetic conditioning. */
const NOT_FRAMES = new Set([0xc4, 0xc8, 0xcc]);

/** Progressive files come in some ten scans. Each goes over all pixels, whatever little it holds: 100 megapixels take 0.15 s a scan. */
const MAX_SCANS = 256;
const MAX_SCANNED_PIXELS = 32 * MAX_PIXELS;

/** What the walk finds. */
interface JpegStructure {
  width: number;
  height: number;
  components: number;
  /** EXIF orientation, 1 (upright) to 8. */
  orientation: number;
  /** Blocks of 8x8 samples of all components. */
  blocks: number;
  /** The file without the segments that do not matter for pixels. */
  readonly parts: Uint8Array[];
}

/** Whether the bytes begin as a JPEG does. */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === START_OF_IMAGE && bytes[2] === 0xff;
}

/**
 * Decodes a JPEG: grey, YCbCr, RGB, CMYK and YCCK of 8 bits. Damage that the codec can go on after passes, as in Pillow.
 * @param name what to call it in errors.
 * @throws DataError for one that is truncated, damaged, empty, above 100 megapixels, or of a rare kind (lossless, arithmetic).
 */
export async function decodeJpeg(codecs: Codecs, bytes: Uint8Array, name: string): Promise<Picture> {
  const { width, height, components, orientation, parts } = readStructure(bytes, name);
  try {
    const pixels = await codecs.jpeg(joinBytes(parts), width, height, components);
    return turn({ width, height, pixels }, orientation);
  } catch (error) {
    if (error instanceof VerydeepError) throw error;
    throw damaged(name, error instanceof Error ? error.message : String(error));
  }
}

function damaged(name: string, what: string): DataError {
  return new DataError(`decodePicture: the JPEG ${name} is truncated or damaged (${what}). Get the file again.`);
}

/** Walks the segments from the start to the end mark. What follows the end mark (phones append videos) is left out. */
function readStructure(bytes: Uint8Array, name: string): JpegStructure {
  const structure: JpegStructure = {
    width: 0,
    height: 0,
    components: 0,
    orientation: 1,
    blocks: 0,
    parts: [bytes.subarray(0, 2)],
  };
  let scans = 0;
  let scanBytes = 0;
  let at = 2;
  for (;;) {
    const start = at;
    if (at < bytes.length && bytes[at] !== 0xff) throw damaged(name, `no marker at byte ${at}`);
    while (bytes[at] === 0xff) at++; // a marker may be preceded by any number of fill bytes
    if (at + 3 > bytes.length && bytes[at] !== END_OF_IMAGE) {
      throw damaged(name, `it ends at byte ${bytes.length}, before its end mark`);
    }
    const marker = bytes[at++];
    if (marker === END_OF_IMAGE) break;
    const length = bytes[at] * 256 + bytes[at + 1];
    let end = at + length;
    if (!(length >= 2 && end <= bytes.length))
      throw damaged(name, `segment at byte ${start} ends at byte ${end}, file ${bytes.length} bytes`);
    const content = bytes.subarray(at + 2, end);
    if (marker === START_OF_SCAN) {
      if (structure.components === 0) throw damaged(name, "pixels before the size");
      if (++scans > Math.min(MAX_SCANS, MAX_SCANNED_PIXELS / (structure.width * structure.height))) {
        throw damaged(name, `more than ${scans - 1} scans of ${structure.width}x${structure.height}`);
      }
      const begin = end;
      end = scanEnd(bytes, begin);
      scanBytes += end - begin;
    }
    readSegment(structure, marker, content, name);
    // Above are applications' segments and comments; of these two, JFIF's and Adobe's tell how the colours are stored.
    if (marker <= 0xe0 || marker === ADOBE) structure.parts.push(Uint8Array.of(0xff), bytes.subarray(at - 1, end));
    at = end;
  }
  if (scans === 0) throw damaged(name, "no pixels");
  // The first coefficient of a block takes a bit at least.
  if (scanBytes * 8 < structure.blocks) {
    throw damaged(name, `${scanBytes} bytes cannot hold the pixels of ${structure.width}x${structure.height}`);
  }
  structure.parts.push(Uint8Array.of(0xff, END_OF_IMAGE));
  return structure;
}

/** Where the coded pixels end: at the first marker that is neither a stuffed 0xff nor a restart. */
function scanEnd(bytes: Uint8Array, begin: number): number {
  let at = begin;
  while (at < bytes.length) {
    if (bytes[at] !== 0xff) at++;
    else if (bytes[at + 1] === 0 || (bytes[at + 1] >= 0xd0 && bytes[at + 1] <= 0xd7)) at += 2;
    else break;
  }
  return Math.min(at, bytes.length);
}

function readSegment(structure: JpegStructure, marker: number, content: Uint8Array, name: string): void {
  if (marker >= 0xc0 && marker <= 0xcf && !NOT_FRAMES.has(marker)) readFrame(structure, marker, content, name);
  else if (marker === EXIF) structure.orientation = orientationOf(content) ?? structure.orientation;
}

function readFrame(structure: JpegStructure, marker: number, content: Uint8Array, name: string): void {
  const [precision, heightHigh, heightLow, widthHigh, widthLow, components] = content;
  if (!SUPPORTED_FRAMES.has(marker) || precision !== 8) {
    throw new DataError(
      `decodePicture: the JPEG ${name} is of a rare kind (frame ${marker.toString(16)}, ${precision} bits). Save it as baseline or progressive, 8 bits.`,
    );
  }
  if (structure.components !== 0) throw damaged(name, "two pictures in one");
  if (content.length < 6 + components * 3) throw damaged(name, `frame of ${content.length} bytes`);
  const width = widthHigh * 256 + widthLow;
  const height = heightHigh * 256 + heightLow;
  if (width === 0 || height === 0) {
    throw new DataError(
      `decodePicture: the JPEG ${name} has no pixels (width ${width}, height ${height}). Get the file again.`,
    );
  }
  if (width * height > MAX_PIXELS) {
    throw new DataError(
      `decodePicture: the JPEG ${name} is above 100 megapixels (width ${width}, height ${height}). Make it smaller.`,
    );
  }
  if (components !== 1 && components !== 3 && components !== 4) throw damaged(name, `${components} colour components`);
  const samplings = Array.from({ length: components }, (_, c) => content[7 + c * 3]);
  const across = samplings.map((sampling) => sampling >> 4);
  const down = samplings.map((sampling) => sampling & 15);
  for (let c = 0; c < components; c++) {
    if (across[c] < 1 || across[c] > 4 || down[c] < 1 || down[c] > 4)
      throw damaged(name, `sampling factors ${samplings[c].toString(16)}`);
    const columns = Math.ceil((width * across[c]) / Math.max(...across) / 8);
    const rows = Math.ceil((height * down[c]) / Math.max(...down) / 8);
    structure.blocks += columns * rows;
  }
  Object.assign(structure, { width, height, components });
}

function orientationOf(content: Uint8Array): number | undefined {
  return latin1(content, 0, 6) === "Exif\0\0" ? exifOrientation(content.subarray(6)) : undefined;
}

function latin1(bytes: Uint8Array, begin: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(begin, end));
}
