/**
 * `decodePicture` in browsers, on a page or in a worker: JPEG and WebP by the browser's own decoders, PNG by png.ts. Pixels of JPEG and of
 * lossy WebP may differ by a few levels between browsers. What is a picture, and how large, was settled by picture.ts before.
 */
import { decodeWith } from "./picture.js";
import type { Codecs, Picture } from "./pixels.js";

/** The canvas that pixels are read through takes so many rows at a time: browsers limit its size. */
const STRIP_PIXELS = 4_000_000;

const CODECS: Codecs = {
  jpeg: (file, width, height) => decode(file, "image/jpeg", width, height),
  webp: (file, width, height) => decode(file, "image/webp", width, height),
};

/**
 * Decodes a PNG (all colour types and depths, interlaced or not), a JPEG (baseline and progressive; turned as its EXIF orientation says) or
 * a WebP (lossy or lossless, turned likewise; of an animation the first frame). Transparency lies over white. The content decides, not the
 * file's name.
 * @param name what to call the picture in errors.
 * @throws DataError for anything else: another format, truncated, damaged, empty, above 100 megapixels.
 */
export function decodePicture(bytes: Uint8Array, name?: string): Promise<Picture> {
  return decodeWith(CODECS, bytes, name);
}

/** The file has neither orientation nor colour profile any more: nothing that browsers would treat differently. */
async function decode(file: Uint8Array, type: string, width: number, height: number): Promise<Uint8Array> {
  const bitmap = await createImageBitmap(new Blob([Uint8Array.from(file)], { type }), { colorSpaceConversion: "none" });
  try {
    if (bitmap.width !== width || bitmap.height !== height)
      throw new Error(`the browser sees ${bitmap.width}x${bitmap.height}`);
    return readOverWhite(bitmap);
  } finally {
    bitmap.close();
  }
}

function readOverWhite(bitmap: ImageBitmap): Uint8Array {
  const { width, height } = bitmap;
  const rgb = new Uint8Array(width * height * 3);
  const rows = Math.max(1, Math.min(height, Math.floor(STRIP_PIXELS / width)));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("the browser gives no canvas");
  context.fillStyle = "#fff";
  let to = 0;
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, count);
    for (let from = 0; from < data.length; from += 4) {
      rgb[to++] = data[from];
      rgb[to++] = data[from + 1];
      rgb[to++] = data[from + 2];
    }
  }
  return rgb;
}
