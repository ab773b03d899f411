/**
 * JPEG (ITU T.81): checks the file's structure, then hands what matters for the pixels to jpeg-js (through vendor/pictures.ts), and turns
 * the picture as its EXIF orientation says. The walk over the segments comes first because jpeg-js takes memory as it reads, does not
 * notice a missing end, and reads RGB files as YCbCr.
 */
import { DataError } from "../core/errors.js";
import { joinBytes, MAX_PIXELS, type Picture } from "./pixels.js";

const START_OF_IMAGE = 0xd8;
const END_OF_IMAGE = 0xd9;
const START_OF_SCAN = 0xda;
const EXIF = 0xe1;
const ADOBE = 0xee;

/** Frames that jpeg-js decodes: baseline, extended sequential, progressive, with Huffman codes. */
const SUPPORTED_FRAMES = new Set([0xc0, 0xc1, 0xc2]);
/** Not frames, though numbered among them: Huffman tables, an extension, arithmetic conditioning. */
const NOT_FRAMES = new Set([0xc4, 0xc8, 0xcc]);

/** jpeg-js counts what it takes; 100 megapixels with full colour need about 2.2 GB. */
const MAX_MEMORY_MEGABYTES = 4096;

/** What the walk finds. */
interface JpegStructure {
  width: number;
  height: number;
  components: number;
  /** EXIF orientation, 1 (upright) to 8. */
  orientation: number;
  /** Adobe's colour transform: 0 means that three components are RGB. */
  adobeTransform: number | undefined;
  /** The file without the segments that do not matter for pixels. */
  readonly parts: Uint8Array[];
}

/** Whether the bytes begin as a JPEG does. */
export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === START_OF_IMAGE && bytes[2] === 0xff;
}

/**
 * Decodes a JPEG: grey, YCbCr, RGB, CMYK and YCCK of 8 bits.
 * @param name what to call it in errors.
 * @throws DataError for one that is truncated, damaged, empty, above 100 megapixels, or of a rare kind (lossless, arithmetic).
 */
export async function decodeJpeg(bytes: Uint8Array, name: string): Promise<Picture> {
  const structure = readStructure(bytes, name);
  const { width, height, components, adobeTransform, orientation } = structure;
  const { decodeJpegBytes } = await import("../vendor/pictures.js");
  try {
    const decoded = decodeJpegBytes(joinBytes(structure.parts), {
      colorTransform: components === 3 && adobeTransform === 0 ? false : undefined,
      maxMegapixels: MAX_PIXELS / 1e6,
      maxMemoryMegabytes: MAX_MEMORY_MEGABYTES,
    });
    if (decoded.width !== width || decoded.height !== height) throw damaged(name, "two sizes");
    return turn({ width, height, pixels: decoded.data }, orientation);
  } catch (error) {
    if (error instanceof DataError) throw error;
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
    adobeTransform: undefined,
    parts: [bytes.subarray(0, 2)],
  };
  let scans = 0;
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
      scans++;
      end = scanEnd(bytes, end);
    }
    readSegment(structure, marker, content, name);
    // Above 0xe0 are applications' segments and comments.
    if (marker < 0xe0 || marker === ADOBE) structure.parts.push(Uint8Array.of(0xff), bytes.subarray(at - 1, end));
    at = end;
  }
  if (scans === 0) throw damaged(name, "no pixels");
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
  else if (marker === EXIF) structure.orientation = exifOrientation(content) ?? structure.orientation;
  else if (marker === ADOBE && latin1(content, 0, 5) === "Adobe") structure.adobeTransform = content[11];
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
  for (let c = 0; c < components; c++) {
    const sampling = content[7 + c * 3];
    if (sampling >> 4 < 1 || sampling >> 4 > 4 || (sampling & 15) < 1 || (sampling & 15) > 4) {
      throw damaged(name, `sampling factors ${sampling.toString(16)}`);
    }
  }
  Object.assign(structure, { width, height, components });
}

/** Orientation of an EXIF segment: tag 0x0112 of its first directory (TIFF 6.0); undefined where it has none. */
function exifOrientation(content: Uint8Array): number | undefined {
  if (latin1(content, 0, 6) !== "Exif\0\0" || content.length < 14) return undefined;
  const tiff = new DataView(content.buffer, content.byteOffset + 6, content.byteLength - 6);
  const little = tiff.getUint16(0) === 0x4949;
  const directory = tiff.getUint32(4, little);
  if (directory + 2 > tiff.byteLength) return undefined;
  const entries = tiff.getUint16(directory, little);
  for (let entry = directory + 2; entry < directory + 2 + entries * 12 && entry + 12 <= tiff.byteLength; entry += 12) {
    if (tiff.getUint16(entry, little) !== 0x0112) continue;
    const orientation = tiff.getUint16(entry + 8, little);
    return orientation >= 1 && orientation <= 8 ? orientation : undefined;
  }
  return undefined;
}

/** Turns and mirrors a picture as its EXIF orientation says. */
function turn(picture: Picture, orientation: number): Picture {
  if (orientation === 1) return picture;
  const { width, height, pixels } = picture;
  // From 5 on, the axes are swapped; the tables say which of the stored axes then run backwards.
  const swap = orientation >= 5;
  const flipX = [2, 3, 7, 8].includes(orientation);
  const flipY = [3, 4, 6, 7].includes(orientation);
  const outWidth = swap ? height : width;
  const outHeight = swap ? width : height;
  const out = new Uint8Array(pixels.length);
  for (let y = 0; y < outHeight; y++) {
    for (let x = 0; x < outWidth; x++) {
      const storedX = swap ? y : x;
      const storedY = swap ? x : y;
      const from = ((flipY ? height - 1 - storedY : storedY) * width + (flipX ? width - 1 - storedX : storedX)) * 3;
      const to = (y * outWidth + x) * 3;
      for (let c = 0; c < 3; c++) out[to + c] = pixels[from + c];
    }
  }
  return { width: outWidth, height: outHeight, pixels: out };
}

function latin1(bytes: Uint8Array, begin: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(begin, end));
}
