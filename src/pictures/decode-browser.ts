/**
 * `decodePicture` in browsers, on a page or in a worker: JPEG and WebP by the browser's own decoders, PNG by png.ts. Pixels of JPEG and of
 * lossy WebP may differ by a few levels between browsers. What is a picture, and how large, was settled by picture.ts before.
 */
import { decodeWith } from "./picture.js";
import type { Codecs, Picture } from "./pixels.js";

/** Pixels are read through a canvas of this side at most: browsers limit canvases, and some say nothing where one is too large. */
const TILE = 2048;

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
  const canvas = new OffscreenCanvas(Math.min(width, TILE), Math.min(height, TILE));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("the browser gives no canvas");
  context.fillStyle = "#fff";
  for (let top = 0; top < height; top += TILE) {
    for (let left = 0; left < width; left += TILE) {
      context.fillRect(0, 0, TILE, TILE);
      context.drawImage(bitmap, -left, -top);
      const columns = Math.min(TILE, width - left);
      const rows = Math.min(TILE, height - top);
      const { data } = context.getImageData(0, 0, columns, rows);
      for (let y = 0, from = 0; y < rows; y++) {
        let to = ((top + y) * width + left) * 3;
        for (let x = 0; x < columns; x++, from += 4) {
          rgb[to++] = data[from];
          rgb[to++] = data[from + 1];
          rgb[to++] = data[from + 2];
        }
      }
    }
  }
  return rgb;
}
