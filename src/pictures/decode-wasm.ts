/**
 * `decodePicture` in Node, Deno and Bun: libjpeg-turbo and libwebp in WebAssembly (dist/vendor/*.wasm.br, put there by scripts/build.js).
 * The same bytes give the same pixels on every machine. What is a picture, and how large, was settled by picture.ts before.
 */
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";
import { decodeWith } from "./picture.js";
import { type Codecs, overWhite, type Picture } from "./pixels.js";
import { WasmCodec } from "./wasm-codec.js";

const libjpeg = new WasmCodec(() => readCodec("jpeg-turbo"));
const libwebp = new WasmCodec(() => readCodec("webp"));

/** libjpeg-turbo's pixel formats and flag (turbojpeg.h). */
const TJPF_RGB = 0;
const TJPF_CMYK = 11;
const TJFLAG_ACCURATEDCT = 4096;

const CODECS: Codecs = {
  jpeg: (file, width, height, components) =>
    libjpeg.use((codec) => {
      const channels = components === 4 ? 4 : 3;
      const input = codec.put(file);
      const output = codec.take(width * height * channels);
      const decoder = codec.call("tjInitDecompress");
      if (decoder === 0) throw new Error("no memory for the codec");
      const format = components === 4 ? TJPF_CMYK : TJPF_RGB;
      // Not 0 also where the codec warns: of bytes too many, of damage that it went on after. What it cannot go on after, it throws.
      codec.call(
        "tjDecompress2",
        decoder,
        input,
        file.length,
        output,
        width,
        width * channels,
        height,
        format,
        TJFLAG_ACCURATEDCT,
      );
      codec.call("tjDestroy", decoder);
      const samples = codec.bytes(output, width * height * channels);
      return components === 4 ? cmykToRgb(samples) : samples.slice();
    }),
  webp: (file, width, height) =>
    libwebp.use((codec) => {
      const input = codec.put(file);
      const output = codec.call("WebPDecodeRGBA", input, file.length, 0, 0);
      if (output === 0) throw new Error("the codec found damage in its pixels");
      codec.own(output);
      return rgbaOverWhite(codec.bytes(output, width * height * 4));
    }),
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

async function readCodec(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const packed = await readFile(new URL(`../vendor/${name}.wasm.br`, import.meta.url));
  return Uint8Array.from(await promisify(brotliDecompress)(packed));
}

/** RGB of CMYK as JPEG files have it, inverted (255 is no ink), by Pillow's formula: what the ink of a colour leaves of what black leaves. */
function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4) {
    const light = cmyk[from + 3];
    for (let c = 0; c < 3; c++) {
      const product = (255 - cmyk[from + c]) * light + 128;
      rgb[to++] = light - ((product + (product >> 8)) >> 8);
    }
  }
  return rgb;
}

function rgbaOverWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = rgba[from + 3];
    for (let c = 0; c < 3; c++) rgb[to++] = alpha === 255 ? rgba[from + c] : overWhite(rgba[from + c], alpha, 255);
  }
  return rgb;
}
