/**
 * What a decoded picture is, what decodes one, and moving its pixels between the two layouts. The layer below picture.ts, png.ts, jpeg.ts
 * and webp.ts.
 */

/** A picture: 8-bit RGB, interleaved, row by row from the top left: `pixels[(y * width + x) * 3 + channel]`. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Pictures with more are refused before memory is taken: no photographs, but mistakes or attacks. */
export const MAX_PIXELS = 100_000_000;

/**
 * A host's decoders of what png.ts does not do. They are given whole files whose structure and size were checked, without metadata, and
 * throw an Error that says in a few words why there is no picture; one of ours where that is not the picture's fault.
 */
export interface Codecs {
  /** RGB of a JPEG of 1, 3 or 4 colour components. */
  jpeg(file: Uint8Array, width: number, height: number, components: number): Promise<Uint8Array>;
  /** RGB, over white, of a WebP that is no animation. */
  webp(file: Uint8Array, width: number, height: number): Promise<Uint8Array>;
}

/** A sample of 0..max with that alpha over white, as a byte, rounded once. */
export function overWhite(sample: number, alpha: number, max: number): number {
  return Math.floor(((sample * alpha + max * (max - alpha)) / (max * max)) * 255 + 0.5);
}

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
