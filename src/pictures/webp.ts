/**
 * WebP (RFC 9649): checks the container and the sizes, hands the coded picture to the host's codec without metadata, and turns it as its
 * EXIF orientation says (orientation.ts). Of an animation it takes the first frame, in its place on a white canvas.
 */

import { joinBytes } from "../core/bytes.js";
import { DataError, VerydeepError } from "../core/errors.js";
import { exifOrientation, turn } from "./orientation.js";
import { type Codecs, MAX_PIXELS, type Picture } from "./pixels.js";

/** "RIFF", its size, "WEBP". */
const HEADER_BYTES = 12;
/** A chunk's name and size. */
const CHUNK_BYTES = 8;
/** VP8X: flags and the size of the canvas. ANMF: place, size and time of a frame, before its chunks. */
const CANVAS_BYTES = 10;
const FRAME_BYTES = 16;
const ALPHA_FLAG = 0x10;

interface Size {
  readonly width: number;
  readonly height: number;
}

interface Chunk {
  readonly name: string;
  /** Where it begins in the file. */
  readonly at: number;
  readonly content: Uint8Array;
}

/** A coded picture and where on the canvas it lies. */
interface Frame extends Size {
  readonly left: number;
  readonly top: number;
  /** VP8 or VP8L. */
  readonly picture: Chunk;
  readonly alpha: Chunk | undefined;
}

/** Whether the bytes begin as a WebP does. */
export function isWebp(bytes: Uint8Array): boolean {
  return latin1(bytes, 0, 4) === "RIFF" && latin1(bytes, 8, 12) === "WEBP";
}

/**
 * Decodes a WebP: lossy or lossless, transparency over white; of an animation the first frame.
 * @param name what to call it in errors.
 * @throws DataError for one that is truncated, damaged, empty, or above 100 megapixels.
 */
export async function decodeWebp(codecs: Codecs, bytes: Uint8Array, name: string): Promise<Picture> {
  const { canvas, frame, orientation } = readStructure(bytes, name);
  const { width, height } = frame;
  let pixels: Uint8Array;
  try {
    pixels = await codecs.webp(joinBytes(still(frame)), width, height);
  } catch (error) {
    if (error instanceof VerydeepError) throw error;
    throw damaged(name, error instanceof Error ? error.message : String(error));
  }
  const whole = width === canvas.width && height === canvas.height;
  return turn(whole ? { width, height, pixels } : placed(pixels, frame, canvas), orientation);
}

function damaged(name: string, what: string): DataError {
  return new DataError(`decodePicture: the WebP ${name} is truncated or damaged (${what}). Get the file again.`);
}

function readStructure(bytes: Uint8Array, name: string): { canvas: Size; frame: Frame; orientation: number } {
  // What follows the end that the header tells is left out.
  const end = 8 + (bytes.length < HEADER_BYTES ? 0 : uint32(bytes, 4));
  if (end < HEADER_BYTES) throw damaged(name, `its header says that it ends at byte ${end}`);
  if (end > bytes.length) throw damaged(name, `it ends at byte ${bytes.length}, its header says ${end}`);
  const chunks = readChunks(bytes, HEADER_BYTES, end, name);
  const extended = chunks.find((chunk) => chunk.name === "VP8X");
  const animated = chunks.find((chunk) => chunk.name === "ANMF");
  if (extended !== undefined && extended.content.length < CANVAS_BYTES) {
    throw damaged(name, `chunk "VP8X" at byte ${extended.at} has ${extended.content.length} bytes`);
  }
  const canvas = extended && { width: 1 + uint24(extended.content, 4), height: 1 + uint24(extended.content, 7) };
  if (canvas) checkSize(canvas, name);
  const frame = animated ? readAnimationFrame(bytes, animated, name) : readFrame(chunks, name);
  const whole = canvas ?? frame;
  const fits = animated
    ? frame.left + frame.width <= whole.width && frame.top + frame.height <= whole.height
    : frame.width === whole.width && frame.height === whole.height;
  if (!fits) {
    throw damaged(name, `picture ${frame.width}x${frame.height}, canvas ${whole.width}x${whole.height}`);
  }
  const exif = chunks.find((chunk) => chunk.name === "EXIF")?.content;
  return { canvas: whole, frame, orientation: (exif && orientationOf(exif)) ?? 1 };
}

function readChunks(bytes: Uint8Array, begin: number, end: number, name: string): Chunk[] {
  const chunks: Chunk[] = [];
  // The last one's byte of padding may be missing.
  for (let at = begin; at < end; ) {
    const content = at + CHUNK_BYTES;
    if (content > end) throw damaged(name, `chunk at byte ${at} ends at byte ${end}`);
    const next = content + uint32(bytes, at + 4);
    const type = latin1(bytes, at, at + 4);
    if (next > end)
      throw damaged(name, `chunk ${JSON.stringify(type)} at byte ${at} ends at byte ${next}, file ${end} bytes`);
    chunks.push({ name: type, at, content: bytes.subarray(content, next) });
    at = next + (next & 1);
  }
  return chunks;
}

/** The picture among these chunks. */
function readFrame(chunks: readonly Chunk[], name: string): Frame {
  const picture = chunks.find((chunk) => chunk.name === "VP8 " || chunk.name === "VP8L");
  if (picture === undefined) throw damaged(name, "no pixels");
  const size = picture.name === "VP8L" ? losslessSize(picture.content) : lossySize(picture.content);
  if (size === undefined) throw damaged(name, `header of chunk ${JSON.stringify(picture.name)} at byte ${picture.at}`);
  checkSize(size, name);
  const alpha = picture.name === "VP8 " ? chunks.find((chunk) => chunk.name === "ALPH") : undefined;
  return { ...size, left: 0, top: 0, picture, alpha };
}

function readAnimationFrame(bytes: Uint8Array, { at, content }: Chunk, name: string): Frame {
  if (content.length < FRAME_BYTES) throw damaged(name, `chunk "ANMF" at byte ${at} has ${content.length} bytes`);
  const begin = at + CHUNK_BYTES;
  const frame = readFrame(readChunks(bytes, begin + FRAME_BYTES, begin + content.length, name), name);
  const [width, height] = [1 + uint24(content, 6), 1 + uint24(content, 9)];
  if (frame.width !== width || frame.height !== height) {
    throw damaged(name, `picture ${frame.width}x${frame.height}, frame ${width}x${height}`);
  }
  return { ...frame, left: 2 * uint24(content, 0), top: 2 * uint24(content, 3) };
}

/** Size of a VP8 key frame (RFC 6386, section 9.1); undefined where the chunk is none. */
function lossySize(content: Uint8Array): Size | undefined {
  const isKeyFrame = content.length >= 10 && (content[0] & 1) === 0;
  if (!isKeyFrame || content[3] !== 0x9d || content[4] !== 0x01 || content[5] !== 0x2a) return undefined;
  return { width: (content[6] | (content[7] << 8)) & 0x3fff, height: (content[8] | (content[9] << 8)) & 0x3fff };
}

/** Size of a VP8L picture (RFC 9649, section 3.4); undefined where the chunk is none. */
function losslessSize(content: Uint8Array): Size | undefined {
  if (content.length < 5 || content[0] !== 0x2f) return undefined;
  const bits = uint32(content, 1);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
}

function checkSize({ width, height }: Size, name: string): void {
  if (width === 0 || height === 0) {
    throw new DataError(
      `decodePicture: the WebP ${name} has no pixels (width ${width}, height ${height}). Get the file again.`,
    );
  }
  if (width * height > MAX_PIXELS) {
    throw new DataError(
      `decodePicture: the WebP ${name} is above 100 megapixels (width ${width}, height ${height}). Make it smaller.`,
    );
  }
}

/** The file that holds this frame alone, without metadata, in parts. */
function still({ width, height, picture, alpha }: Frame): Uint8Array[] {
  const chunks = [...chunkParts(picture.name, picture.content)];
  if (alpha !== undefined) {
    const canvas = new Uint8Array(CANVAS_BYTES);
    canvas[0] = ALPHA_FLAG;
    const view = new DataView(canvas.buffer);
    view.setUint32(4, width - 1, true);
    // Three bytes each; the fourth of the width is overwritten.
    view.setUint16(7, (height - 1) & 0xffff, true);
    canvas[9] = (height - 1) >> 16;
    chunks.unshift(...chunkParts("VP8X", canvas), ...chunkParts("ALPH", alpha.content));
  }
  const length = chunks.reduce((sum, part) => sum + part.length, 4);
  return [...chunkParts("RIFF", new Uint8Array(0), length), Uint8Array.from("WEBP", (c) => c.charCodeAt(0)), ...chunks];
}

function chunkParts(name: string, content: Uint8Array, length = content.length): Uint8Array[] {
  const header = new Uint8Array(CHUNK_BYTES);
  header.set(Uint8Array.from(name, (c) => c.charCodeAt(0)));
  new DataView(header.buffer).setUint32(4, length, true);
  return [header, content, new Uint8Array(content.length & 1)];
}

/** The frame on its canvas, which is white elsewhere. */
function placed(pixels: Uint8Array, { left, top, width, height }: Frame, canvas: Size): Picture {
  const out = new Uint8Array(canvas.width * canvas.height * 3).fill(255);
  for (let y = 0; y < height; y++) {
    out.set(pixels.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * canvas.width + left) * 3);
  }
  return { ...canvas, pixels: out };
}

/** Some writers put JPEG's prefix before the EXIF data. */
function orientationOf(exif: Uint8Array): number | undefined {
  return exifOrientation(latin1(exif, 0, 6) === "Exif\0\0" ? exif.subarray(6) : exif);
}

function uint24(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
}

function uint32(bytes: Uint8Array, at: number): number {
  return (uint24(bytes, at) | (bytes[at + 3] << 24)) >>> 0;
}

function latin1(bytes: Uint8Array, begin: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(begin, end));
}
