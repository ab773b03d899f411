/**
 * What a decoded picture is, and moving its pixels between the two layouts. The layer below picture.ts, png.ts and jpeg.ts.
 */

/** A picture: 8-bit RGB, interleaved, row by row from the top left: `pixels[(y * width + x) * 3 + channel]`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Pictures with more are refused before memory is taken: no photographs, but mistakes or attacks. */
export const MAX_PIXELS = 100_000_000;

/** The RGB planes of a picture: `[3, height, width]`. */
export function toPlanes({ pixels }: Picture): Uint8Array {
  const count = pixels.length / 3;
  const planes = new Uint8Array(pixels.length);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) planes[c * count + i] = pixels[i * 3 + c];
  }
  return planes;
}

/** The picture that has these RGB planes, `[3, height, width]`: one picture of a data set, say. */
export function fromPlanes(planes: Uint8Array, width: number, height: number): Picture {
  const count = width * height;
  const pixels = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) pixels[i * 3 + c] = planes[c * count + i];
  }
  return { width, height, pixels };
}

/** Byte arrays, one after the other. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
