/** JPEG and WebP against Pillow, which decodes with the same libraries, natively; and files that are damaged, cut or made to do harm. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BackendError, DataError } from "#src/core/errors.js";
import { decodePicture } from "#src/pictures/decode-wasm.js";
import { decodeWith } from "#src/pictures/picture.js";
import { WasmCodec } from "#src/pictures/wasm-codec.js";
import { fails } from "../io/fails.js";

const fixtures = fileURLToPath(new URL("../fixtures/pictures/", import.meta.url));
const expected: Record<string, { width: number; height: number; pixels: string }> = JSON.parse(
  readFileSync(path.join(fixtures, "coded.json"), "utf8"),
);
const coded = Object.entries(expected).filter(([name]) => /\.(jpg|webp)$/.test(name));

/** The same libraries in other builds: measured 0. */
const TOLERANCE = 0;

for (const [name, { width, height, pixels }] of coded) {
  test(`decodes ${name} as Pillow does`, async () => {
    const picture = await decodePicture(read(name), name);
    assert.equal([picture.width, picture.height], [width, height]);
    const right = Buffer.from(pixels, "base64");
    assert.is(picture.pixels.length, right.length);
    const worst = right.reduce((most, value, i) => Math.max(most, Math.abs(value - picture.pixels[i])), 0);
    assert.ok(worst <= TOLERANCE, `differs by ${worst}`);
  });

  test(`${name} cut at every byte: a DataError, never anything else`, async () => {
    const bytes = read(name);
    for (let length = 0; length < bytes.length; length++) {
      await fails(decodePicture(bytes.subarray(0, length), name), DataError, "decodePicture: ");
    }
  });

  test(`${name} with random damage: a picture or a DataError`, async () => {
    const bytes = read(name);
    const random = generator(5);
    for (let round = 0; round < 200; round++) {
      const damaged = Uint8Array.from(bytes);
      for (let hit = 0; hit < 1 + (round % 4); hit++) damaged[random() % damaged.length] = random() % 256;
      try {
        const picture = await decodePicture(damaged, name);
        assert.is(picture.pixels.length, picture.width * picture.height * 3);
      } catch (error) {
        assert.instance(error, DataError, String(error));
      }
    }
    // Nothing of all that is left in the codec.
    assert.is(base64((await decodePicture(bytes, name)).pixels), expected[name].pixels);
  });
}

test("all at once: each gets its own pixels", async () => {
  const pictures = await Promise.all(coded.map(([name]) => decodePicture(read(name), name)));
  assert.equal(
    pictures.map(({ pixels }) => base64(pixels)),
    coded.map(([, { pixels }]) => pixels),
  );
});

test("a WebP that ends early, or before its chunk does: where, and where it should", async () => {
  const bytes = read("lossy.webp");
  await fails(
    decodePicture(bytes.subarray(0, 300), "x.webp"),
    DataError,
    `decodePicture: the WebP x.webp is truncated or damaged (it ends at byte 300, its header says ${bytes.length}). Get the file again.`,
  );
  const longer = Buffer.from(bytes);
  longer.writeUInt32LE(1_000_000_000, 16);
  await fails(
    decodePicture(longer, "x.webp"),
    DataError,
    `chunk "VP8 " at byte 12 ends at byte 1000000020, file ${bytes.length} bytes`,
  );
  const empty = Buffer.from(bytes.subarray(0, 12));
  empty.writeUInt32LE(4, 4);
  await fails(decodePicture(empty, "x.webp"), DataError, "(no pixels)");
  empty.writeUInt32LE(0, 4);
  await fails(decodePicture(empty, "x.webp"), DataError, "its header says that it ends at byte 8");
});

test("absurd and empty sizes of a WebP are refused before memory is taken", async () => {
  const lossy = Buffer.from(read("lossy.webp"));
  lossy.writeUInt16LE(16_383, 26);
  lossy.writeUInt16LE(16_383, 28);
  await fails(
    decodePicture(lossy, "x.webp"),
    DataError,
    "decodePicture: the WebP x.webp is above 100 megapixels (width 16383, height 16383). Make it smaller.",
  );
  lossy.writeUInt16LE(0, 28);
  await fails(decodePicture(lossy, "x.webp"), DataError, "the WebP x.webp has no pixels (width 16383, height 0).");
  const lossless = Buffer.from(read("lossless.webp"));
  lossless.writeUInt32LE(0x0fffffff, 21);
  await fails(decodePicture(lossless, "x.webp"), DataError, "above 100 megapixels (width 16384, height 16384)");
  const canvas = Buffer.from(read("lossy-alpha.webp"));
  canvas.fill(0xff, 24, 30);
  await fails(decodePicture(canvas, "x.webp"), DataError, "above 100 megapixels (width 16777216, height 16777216)");
});

test("a WebP whose picture is not as large as its canvas, and a frame beyond it", async () => {
  const canvas = Buffer.from(read("lossy-alpha.webp"));
  canvas[24] = 40;
  await fails(decodePicture(canvas, "x.webp"), DataError, "(picture 27x23, canvas 41x23)");
  const frame = Buffer.from(read("animation-placed.webp"));
  frame[frame.indexOf("ANMF") + 8] = 7;
  await fails(decodePicture(frame, "x.webp"), DataError, "(picture 27x23, canvas 40x35)");
});

test("a small JPEG that claims many pixels: too few bytes to hold them", async () => {
  const bytes = Buffer.from(read("noise-420.jpg"));
  const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
  bytes.writeUInt16BE(9_000, frame + 5);
  bytes.writeUInt16BE(9_000, frame + 7);
  await fails(
    decodePicture(bytes, "x.jpg"),
    DataError,
    " bytes cannot hold the pixels of 9000x9000). Get the file again.",
  );
});

test("a progressive JPEG of a thousand scans is refused", async () => {
  const bytes = Buffer.from(read("noise-420-progressive.jpg"));
  const first = bytes.indexOf(Buffer.from([0xff, 0xda]));
  const second = bytes.indexOf(Buffer.from([0xff, 0xc4]), first);
  const scan = bytes.subarray(first, second);
  const many = Buffer.concat([
    bytes.subarray(0, second),
    ...Array.from({ length: 1000 }, () => scan),
    bytes.subarray(second),
  ]);
  await fails(decodePicture(many, "x.jpg"), DataError, "more than 256 scans of 27x23");
  // Fewer where there are more pixels.
  const frame = many.indexOf(Buffer.from([0xff, 0xc2]));
  many.writeUInt16BE(4_000, frame + 5);
  many.writeUInt16BE(5_000, frame + 7);
  await fails(decodePicture(many, "x.jpg"), DataError, "more than 160 scans of 5000x4000");
});

test("the content decides: a WebP among JPEGs, a JPEG cut after a WebP's name", async () => {
  assert.is((await decodePicture(read("lossy.webp"), "photo.jpg")).width, 27);
  await fails(
    decodePicture(Uint8Array.from(Buffer.from("not a picture")), "photo.webp"),
    DataError,
    "decodePicture: photo.webp is not a PNG, JPEG or WebP picture (it begins with bytes 6e 6f 74 20 61 20 70 69).",
  );
});

test("what follows the end of a WebP is left out", async () => {
  const bytes = Buffer.concat([read("lossless.webp"), Buffer.from("more")]);
  assert.is(base64((await decodePicture(bytes)).pixels), expected["lossless.webp"].pixels);
});

test("a codec is kept for the next picture, but not after a failure, nor with much memory", async () => {
  // (module (memory (export "memory") 1) (func (export "malloc") (param i32) (result i32) i32.const 8) (func (export "free") (param i32))
  //   (func (export "grow") (param i32) (result i32) local.get 0 memory.grow) (func (export "trap") unreachable))
  const codec = new WasmCodec(async () =>
    Uint8Array.from(
      Buffer.from(
        "0061736d01000000" +
          "010d0360017f017f60017f00600000" +
          "030504000100020503010001" +
          "072805066d656d6f72790200066d616c6c6f630000046672656500010467726f77000204747261700003" +
          "0a1404040041080b02000b060020004000" +
          "0b0300000b",
        "hex",
      ),
    ),
  );
  const first = (memory: { bytes(at: number, length: number): Uint8Array }): number => memory.bytes(0, 1)[0]++;
  assert.is(await codec.use(first), 0);
  assert.is(await codec.use(first), 1);
  await fails(
    codec.use((memory) => memory.call("trap")),
    Error,
    "the codec failed: unreachable",
  );
  assert.is(await codec.use(first), 0);
  await fails(
    codec.use(() => {
      throw new Error("stop");
    }),
    Error,
    "stop",
  );
  assert.is(await codec.use(first), 0);
  await codec.use((memory) => memory.call("grow", 1100));
  assert.is(await codec.use(first), 0);
});

test("a codec whose file is missing is no fault of the picture", async () => {
  const codec = new WasmCodec(async () => {
    throw new Error("ENOENT");
  });
  const text = "decodePicture: the codec cannot be loaded (Error: ENOENT). Install the package again;";
  await fails(
    codec.use(() => 0),
    BackendError,
    text,
  );
  const codecs = { jpeg: () => codec.use(() => new Uint8Array(3)), webp: () => codec.use(() => new Uint8Array(3)) };
  await fails(decodeWith(codecs, read("noise-420.jpg")), BackendError, text);
  await fails(decodeWith(codecs, read("lossy.webp")), BackendError, text);
});

function read(name: string): Uint8Array {
  return readFileSync(path.join(fixtures, name));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

/** A small generator with fixed seed (Numerical Recipes' linear congruence, upper bits). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

test.run();
