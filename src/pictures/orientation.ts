/** Which way up a picture is, as EXIF says it, and turning it so. Used by jpeg.ts and webp.ts. */
import type { Picture } from "./pixels.js";

/** Orientation, 1 (upright) to 8, of EXIF data: tag 0x0112 of its first directory (TIFF 6.0); undefined where it has none. */
export function exifOrientation(exif: Uint8Array): number | undefined {
  if (exif.length < 8) return undefined;
  const tiff = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
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

/** Turns and mirrors a picture as its orientation says. */
export function turn(picture: Picture, orientation: number): Picture {
  if (orientation === 1) return picture;
  const { width, height, pixels } = picture;
  // From 5 on, the axes are swapped; the tables say which of the stored axes then run backwards.
  const swap = orientation >= 5;
  const flipX = [2, 3, 7, 8].includes(orientation);
  const flipY = [3, 4, 6, 7].includes(orientation);
  const alongX = flipX ? -3 : 3;
  const alongY = (flipY ? -3 : 3) * width;
  const start = ((flipY ? height - 1 : 0) * width + (flipX ? width - 1 : 0)) * 3;
  const outWidth = swap ? height : width;
  const outHeight = swap ? width : height;
  const [acrossStep, downStep] = swap ? [alongY, alongX] : [alongX, alongY];
  const out = new Uint8Array(pixels.length);
  let to = 0;
  for (let y = 0; y < outHeight; y++) {
    let from = start + y * downStep;
    for (let x = 0; x < outWidth; x++, from += acrossStep) {
      out[to++] = pixels[from];
      out[to++] = pixels[from + 1];
      out[to++] = pixels[from + 2];
    }
  }
  return { width: outWidth, height: outHeight, pixels: out };
}
