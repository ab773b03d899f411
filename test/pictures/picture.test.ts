import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { encode as encodeWithFastPng } from "fast-png";
import { zlibSync } from "fflate";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DataError, UsageError } from "#src/core/errors.js";
import { decodePicture } from "#src/pictures/decode-wasm.js";
import { encodePng, fitPicture, type Picture, resizePicture } from "#src/pictures/picture.js";
import { readPicture } from "#src/pictures/picture-file.js";
import { fails } from "../io/fails.js";

const fixtures = fileURLToPath(new URL("../fixtures/pictures/", import.meta.url));
const expected: Record<string, { width: number; height: number; pixels: string }> = JSON.parse(
  readFileSync(path.join(fixtures, "pictures.json"), "utf8"),
);

/** Decoders of JPEG may round differently (the standard allows it), but ours is Pillow's. */
const TOLERANCE = 0;
/** Pillow rounds to bytes between its two passes; measured 1. */
const RESIZE_TOLERANCE = 1;

for (const [name, { width, height, pixels }] of Object.entries(expected)) {
  if (name.includes(" ")) continue;
  test(`decodes ${name} as Pillow does`, async () => {
    const picture = await readPicture(path.join(fixtures, name));
    assert.equal([picture.width, picture.height], [width, height]);
    const worst = maxDifference(picture.pixels, Buffer.from(pixels, "base64"));
    assert.ok(worst <= TOLERANCE, `differs by ${worst}`);
  });
}

test("resizes as Pillow's BILINEAR does", async () => {
  const picture = await readPicture(path.join(fixtures, "rgb.png"));
  const cases = Object.entries(expected).filter(([name]) => name.includes("resized"));
  assert.is(cases.length, 4);
  for (const [name, { width, height, pixels }] of cases) {
    const worst = maxDifference(resizePicture(picture, width, height).pixels, Buffer.from(pixels, "base64"));
    assert.ok(worst <= RESIZE_TOLERANCE, `${name} differs by ${worst}`);
  }
});

for (const [depth, channels] of [
  [1, 1],
  [2, 1],
  [4, 1],
  [8, 1],
  [16, 1],
  [8, 2],
  [16, 2],
  [8, 3],
  [16, 3],
  [8, 4],
  [16, 4],
]) {
  for (const interlaced of [false, true]) {
    test(`decodes PNG depth=${depth} channels=${channels} ${interlaced ? "Adam7" : "plain"}, every size to 9x9`, async () => {
      for (let size = 1; size <= 81; size++) {
        const width = ((size - 1) % 9) + 1;
        const height = Math.ceil(size / 9);
        const samples = Array.from({ length: width * height * channels }, (_, i) => (i * 7919 + 13) % 2 ** depth);
        const png = makePng({ width, height, depth, channels, samples, interlaced });
        const picture = await decodePicture(png);
        assert.equal([picture.width, picture.height], [width, height]);
        assert.equal(Array.from(picture.pixels), paint(samples, depth, channels));
      }
    });
  }
}

test("decodes what fast-png encodes, interlaced too", async () => {
  const data = Uint8Array.from({ length: 11 * 7 * 3 }, (_, i) => (i * 31) % 256);
  for (const interlace of ["null", "Adam7"] as const) {
    const bytes = encodeWithFastPng({ width: 11, height: 7, data, channels: 3, depth: 8 }, { interlace });
    assert.equal(Array.from((await decodePicture(bytes)).pixels), Array.from(data));
  }
});

test("encodePng: the same picture comes back, and the same bytes each time", async () => {
  const picture = noise(17, 5);
  const bytes = await encodePng(picture);
  const back = await decodePicture(bytes);
  assert.equal([back.width, back.height], [17, 5]);
  assert.equal(Array.from(back.pixels), Array.from(picture.pixels));
  assert.equal(Buffer.from(await encodePng(picture)).compare(bytes), 0);
  await fails(
    encodePng({ width: 2, height: 2, pixels: new Uint8Array(3) }),
    UsageError,
    "encodePng: the pixels do not fill the picture (width 2, height 2, pixels 3).",
  );
});

test("not pictures", async () => {
  const cases: [string | number[], string][] = [
    ["", "the bytes is not a PNG, JPEG or WebP picture (it is empty). Convert it to one of them."],
    ["GIF89a....", "(it looks like GIF)"],
    ["....ftypavif", "(it looks like AVIF)"],
    ["<svg></svg>", "(it looks like SVG or XML)"],
    ["hello, world", "(it begins with bytes 68 65 6c 6c 6f 2c 20 77)"],
    [[0x89, 0x50], "(it begins with bytes 89 50)"],
    [[0xff, 0xd8], "(it begins with bytes ff d8)"],
  ];
  for (const [content, text] of cases) {
    await fails(
      decodePicture(Uint8Array.from(typeof content === "string" ? Buffer.from(content) : content)),
      DataError,
      text,
    );
  }
});

test("missing, a folder, a text file called .png", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-picture-"));
  try {
    const missing = path.join(folder, "missing.png");
    await fails(
      readPicture(missing),
      DataError,
      `readPicture: the file does not exist (path ${missing}). Check the path.`,
    );
    mkdirSync(path.join(folder, "folder.png"));
    await fails(readPicture(path.join(folder, "folder.png")), DataError, "readPicture: the path is no regular file");
    const text = path.join(folder, "text.png");
    writeFileSync(text, "not a picture");
    await fails(readPicture(text), DataError, `${text} is not a PNG, JPEG or WebP picture`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("absurd and empty sizes are refused before memory is taken", async () => {
  const huge = makePng({
    width: 1,
    height: 1,
    depth: 8,
    channels: 1,
    samples: [0],
    interlaced: false,
    claim: [50_000, 50_000],
  });
  await fails(
    decodePicture(huge, "x.png"),
    DataError,
    "decodePicture: the PNG x.png is above 100 megapixels (width 50000, height 50000). Make it smaller.",
  );
  const empty = makePng({ width: 1, height: 1, depth: 8, channels: 1, samples: [0], interlaced: false, claim: [0, 7] });
  await fails(
    decodePicture(empty, "x.png"),
    DataError,
    "decodePicture: the PNG x.png has no pixels (width 0, height 7).",
  );
  const jpeg = readFileSync(path.join(fixtures, "baseline.jpg"));
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  jpeg.writeUInt16BE(65_535, frame + 5);
  jpeg.writeUInt16BE(65_535, frame + 7);
  await fails(
    decodePicture(jpeg, "x.jpg"),
    DataError,
    "decodePicture: the JPEG x.jpg is above 100 megapixels (width 65535, height 65535).",
  );
  jpeg.writeUInt16BE(0, frame + 5);
  await fails(
    decodePicture(jpeg, "x.jpg"),
    DataError,
    "decodePicture: the JPEG x.jpg has no pixels (width 65535, height 0).",
  );
});

test("a PNG with fewer pixels than it says, and one with a wrong checksum", async () => {
  const short = makePng({
    width: 4,
    height: 4,
    depth: 8,
    channels: 1,
    samples: Array(16).fill(9),
    interlaced: false,
    claim: [4, 5],
  });
  await fails(
    decodePicture(short, "x.png"),
    DataError,
    "decodePicture: the PNG x.png is truncated or damaged (20 bytes of pixels, expected 25). Get the file again.",
  );
  const damaged = readFileSync(path.join(fixtures, "rgb.png"));
  damaged[damaged.length - 30] ^= 1;
  await fails(decodePicture(damaged, "x.png"), DataError, 'checksum of chunk "IDAT"');
});

test("a rare kind of JPEG", async () => {
  const jpeg = readFileSync(path.join(fixtures, "baseline.jpg"));
  jpeg[jpeg.indexOf(Buffer.from([0xff, 0xc0])) + 1] = 0xc3;
  await fails(
    decodePicture(jpeg, "x.jpg"),
    DataError,
    "decodePicture: the JPEG x.jpg is of a rare kind (frame c3, 8 bits).",
  );
});

for (const name of ["rgb.png", "palette4.png", "baseline.jpg", "progressive.jpg", "grey-restart.jpg"]) {
  test(`${name} cut at every byte: a DataError, never anything else`, async () => {
    const bytes = readFileSync(path.join(fixtures, name));
    for (let length = 0; length < bytes.length; length++) {
      await fails(decodePicture(bytes.subarray(0, length), name), DataError, "decodePicture: ");
    }
  });

  test(`${name} with random damage: a picture or a DataError`, async () => {
    const bytes = readFileSync(path.join(fixtures, name));
    const random = generator(7);
    for (let round = 0; round < 400; round++) {
      const damaged = Uint8Array.from(bytes);
      for (let hit = 0; hit < 1 + (round % 4); hit++) damaged[random() % damaged.length] = random() % 256;
      try {
        const picture = await decodePicture(damaged, name);
        assert.is(picture.pixels.length, picture.width * picture.height * 3);
      } catch (error) {
        assert.instance(error, DataError, String(error));
      }
    }
  });
}

test("fitPicture: smaller side to size, middle square, planes", () => {
  // Left third red, middle green, right blue: the square in the middle is all green.
  const pixels = new Uint8Array(30 * 10 * 3);
  for (let i = 0; i < 300; i++) pixels[i * 3 + Math.floor((i % 30) / 10)] = 255;
  const planes = fitPicture({ width: 30, height: 10, pixels }, 10);
  assert.equal([...planes.subarray(0, 100)], Array(100).fill(0));
  assert.equal([...planes.subarray(100, 200)], Array(100).fill(255));
  assert.equal([...planes.subarray(200)], Array(100).fill(0));
  const shrunk = fitPicture({ width: 30, height: 10, pixels }, 5);
  assert.is(shrunk.length, 75);
  assert.is(shrunk[25 + 12], 255);
});

test("fitPicture equals resizing all of it and cutting", () => {
  const picture = noise(37, 23);
  for (const size of [8, 23, 32]) {
    const width = Math.floor((37 * size) / 23);
    const whole = resizePicture(picture, width, size);
    const left = Math.floor((width - size) / 2);
    const planes = fitPicture(picture, size);
    for (let i = 0; i < size * size * 3; i++) {
      const [channel, y, x] = [Math.floor(i / (size * size)), Math.floor(i / size) % size, i % size];
      assert.is(planes[i], whole.pixels[(y * width + left + x) * 3 + channel]);
    }
  }
});

test("a picture one pixel high and 200,000 wide costs no more than its square", () => {
  const planes = fitPicture({ width: 200_000, height: 1, pixels: new Uint8Array(600_000).fill(77) }, 224);
  assert.ok(planes.every((value) => value === 77));
});

test("sizes that are none", () => {
  for (const size of [0, -1, 1.5, Number.NaN, 20_000]) {
    assert.throws(
      () => fitPicture(noise(3, 3), size),
      (error: unknown) => error instanceof UsageError && error.message.includes(`(size ${size})`),
    );
    assert.throws(
      () => resizePicture(noise(3, 3), size, 20_000),
      /resizePicture: the size is not two positive whole numbers/,
    );
  }
});

/** Packs samples into a PNG, each line with a filter of its own. */
function makePng(png: {
  width: number;
  height: number;
  depth: number;
  channels: number;
  samples: number[];
  interlaced: boolean;
  claim?: [number, number];
}): Uint8Array {
  const { width, height, depth, channels, samples, interlaced } = png;
  const passes = interlaced
    ? [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
      ]
    : [[0, 0, 1, 1]];
  const raw: number[] = [];
  for (const [left, top, dx, dy] of passes) {
    let above: number[] = [];
    for (let y = top; y < height; y += dy) {
      let bits = "";
      for (let x = left; x < width; x += dx) {
        for (let c = 0; c < channels; c++)
          bits += samples[(y * width + x) * channels + c].toString(2).padStart(depth, "0");
      }
      if (bits === "") continue;
      const line = (bits.padEnd(Math.ceil(bits.length / 8) * 8, "0").match(/.{8}/g) ?? []).map((byte) =>
        Number.parseInt(byte, 2),
      );
      const filter = (y + left) % 5;
      const step = Math.max(1, (depth * channels) / 8);
      raw.push(
        filter,
        ...line.map(
          (byte, i) =>
            (byte - predict(filter, line[i - step] ?? 0, above[i] ?? 0, i >= step ? (above[i - step] ?? 0) : 0)) & 255,
        ),
      );
      above = line;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(png.claim?.[0] ?? width, 0);
  header.writeUInt32BE(png.claim?.[1] ?? height, 4);
  header.set([depth, [0, 0, 4, 2, 6][channels], 0, 0, interlaced ? 1 : 0], 8);
  const chunks = [chunk("IHDR", header), chunk("IDAT", zlibSync(Uint8Array.from(raw))), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...chunks]);
}

function predict(filter: number, left: number, up: number, upperLeft: number): number {
  if (filter < 3) return [0, left, up][filter];
  if (filter === 3) return Math.floor((left + up) / 2);
  const estimate = left + up - upperLeft;
  const [a, b, c] = [left, up, upperLeft].map((value) => Math.abs(estimate - value));
  return a <= b && a <= c ? left : b <= c ? up : upperLeft;
}

/** RGB over white of samples without palette. */
function paint(samples: number[], depth: number, channels: number): number[] {
  const max = 2 ** depth - 1;
  const out: number[] = [];
  for (let i = 0; i < samples.length; i += channels) {
    const alpha = channels % 2 === 0 ? samples[i + channels - 1] / max : 1;
    for (let c = 0; c < 3; c++) {
      const sample = samples[i + (channels < 3 ? 0 : c)] / max;
      out.push(Math.floor((sample * alpha + 1 - alpha) * 255 + 0.5));
    }
  }
  return out;
}

function chunk(type: string, content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(content.length + 12);
  bytes.writeUInt32BE(content.length, 0);
  bytes.write(type, 4, "latin1");
  bytes.set(content, 8);
  let crc = 0xffffffff;
  for (const byte of bytes.subarray(4, content.length + 8)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  bytes.writeUInt32BE((crc ^ 0xffffffff) >>> 0, content.length + 8);
  return bytes;
}

function noise(width: number, height: number): Picture {
  const random = generator(3);
  return { width, height, pixels: Uint8Array.from({ length: width * height * 3 }, () => random() % 256) };
}

/** A small generator with fixed seed (Numerical Recipes' linear congruence, upper bits). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

function maxDifference(a: Uint8Array, b: Uint8Array): number {
  assert.is(a.length, b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i])), 0);
}

test.run();
