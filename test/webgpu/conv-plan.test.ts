/** How convolutions are computed on WebGPU: algorithms, tiles, chunks. No GPU is needed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Conv2dShape } from "#src/backend/backend.js";
import type { LoweringContext } from "#src/backend/webgpu/dispatch.js";
import {
  chunksOf,
  conv2dAlgorithm,
  conv2dCandidates,
  productOf,
  sidesOf,
  tileOf,
} from "#src/backend/webgpu/kernels/conv-plan.js";
import { GEMM_TILES, gemmTile, gemmTileNames } from "#src/backend/webgpu/kernels/gemm.js";

const CONTEXT: LoweringContext = {
  pieceBytes: 128 << 20,
  maxWorkgroups: 65535,
  maxThreads: 256,
  workgroupBytes: 16384,
  subgroups: false,
  f16: false,
  compact: false,
  convAlgorithm: "auto",
  tuned: () => null,
};

/** A square 3x3 convolution with padding 1. */
function shapeOf(
  batch: number,
  inC: number,
  size: number,
  outC: number,
  other: Partial<Conv2dShape> = {},
): Conv2dShape {
  const sides = { inH: size, inW: size, outH: size, outW: size, kH: 3, kW: 3, padH: 1, padW: 1 };
  const window = { strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, groups: 1 };
  return { batch, inC, outC, ...sides, ...window, ...other };
}

const DIRECTIONS = ["forward", "backwardInput", "backwardWeight"] as const;

test("tiles keep WebGPU's default limits", () => {
  for (const [name, { tileM, tileN, tileK, regM, regN }] of Object.entries(GEMM_TILES)) {
    const [rows, columns] = [tileM / regM, tileN / regN];
    assert.is(name, `${tileM}x${tileN}`);
    assert.ok(rows * columns <= 256 && (tileM + tileN) * tileK * 4 <= 16384, name);
    for (const threads of [rows, columns]) assert.is(threads & (threads - 1), 0, name);
    for (const size of [tileK, regM, regN]) assert.is(size % 4, 0, name);
  }
});

test("tiles: large ones for large products, none that is mostly empty", () => {
  assert.is(gemmTileNames(512, 50176)[0], "128x128");
  assert.is(gemmTileNames(64, 50176)[0], "64x128");
  assert.is(gemmTile(3, 65536).tileM, 16);
  assert.is(gemmTile(10, 65536).tileM, 16);
  // Large tiles would leave most of a GPU without work.
  assert.ok(gemmTile(512, 196).tileM < 128);
});

test("every place of a kernel belongs to exactly one class of pixels", () => {
  for (const stride of [1, 2, 3, 4, 6]) {
    for (const dilation of [1, 2, 3, 4, 9]) {
      const kernel = 7;
      const [side] = sidesOf(shapeOf(1, 1, 8, 1, { kH: kernel, strideH: stride, dilationH: dilation }));
      const seen: number[] = [];
      for (let rest = 0; rest < stride; rest++) {
        if (rest % side.common !== 0) continue;
        const first = ((rest / side.common) * side.inverse) % side.every;
        let count = 0;
        for (let place = first; place < kernel; place += side.every) {
          assert.is((place * dilation) % stride, rest);
          seen.push(place);
          count++;
        }
        assert.ok(count <= side.places);
      }
      assert.equal(seen.sort(), [0, 1, 2, 3, 4, 5, 6], `stride ${stride} dilation ${dilation}`);
    }
  }
});

test("chunks of a weight gradient cover all pixels, in bounded memory", () => {
  for (const s of [shapeOf(64, 64, 224, 64), shapeOf(1, 512, 14, 512), shapeOf(1, 3, 2, 5), shapeOf(3, 512, 28, 512)]) {
    const { m, n, k, z } = productOf(s, "backwardWeight");
    const { chunk, chunks } = chunksOf(s, gemmTile(m, n, z), CONTEXT);
    assert.is(chunk % 16, 0);
    assert.ok(chunk * chunks >= k && chunk * (chunks - 1) < k, `${chunks} of ${chunk}`);
    assert.ok(chunks === 1 || chunks * m * n * z * 4 <= 64 << 20);
  }
});

test("a strided input gradient multiplies nothing that does not count", () => {
  const s = shapeOf(2, 8, 9, 16, { strideH: 2, strideW: 2, outH: 5, outW: 5 });
  assert.equal(productOf(s, "backwardInput"), { m: 8, n: 2 * 5 * 5, k: 16 * 2 * 2, z: 4 });
});

test("createEngine's convAlgorithm is kept to where it is possible", () => {
  const of = (convAlgorithm: string, s: Conv2dShape, direction: (typeof DIRECTIONS)[number] = "forward"): string =>
    conv2dAlgorithm(s, { direction }, { ...CONTEXT, convAlgorithm });
  const s = shapeOf(8, 256, 56, 256);
  for (const direction of DIRECTIONS) {
    assert.match(of("im2col", s, direction), /^gemm /);
    assert.is(of("winograd2", s, direction), "winograd2");
    assert.is(of("winograd4", s, direction), "winograd4");
    assert.is(of("winograd6", s, direction), "winograd4");
    assert.match(of("auto", s, direction), /^winograd/);
    assert.match(of("winograd4", { ...s, strideH: 2, outH: 28 }, direction), /^gemm /);
    assert.match(of("winograd4", { ...s, groups: 2 }, direction), /^gemm /);
    // Three channels are too few for transforms to pay.
    assert.match(of("auto", shapeOf(8, 3, 224, 64), direction), /^gemm /);
    assert.not.match(of("exact", s, direction), /winograd4/);
  }
  assert.match(of("exact", s, "backwardWeight"), /^gemm /);
});

test("what a device was measured to be fastest by goes before the rule, where it is a candidate", () => {
  const s = shapeOf(8, 64, 28, 64);
  const work = { direction: "forward" } as const;
  const { key, names } = conv2dCandidates(s, work, CONTEXT);
  assert.ok(names.length > 2 && names.length <= 6, names.join());
  const answer = (name: string, convAlgorithm = "auto"): string =>
    conv2dAlgorithm(s, work, { ...CONTEXT, convAlgorithm, tuned: (asked) => (asked === key ? name : null) });
  for (const name of names) assert.is(answer(name), name);
  const rule = conv2dAlgorithm(s, work, CONTEXT);
  for (const stale of ["gemm 7x7", "winograd6", ""]) assert.is(answer(stale), rule);
  assert.match(answer("winograd4", "im2col"), /^gemm /);
  assert.is(tileOf("winograd4"), null);
  assert.is(tileOf("gemm 64x64"), GEMM_TILES["64x64"]);
});

test("batches that differ by less than twice share a measurement, directions and shapes do not", () => {
  const keyOf = (s: Conv2dShape, direction: (typeof DIRECTIONS)[number], pool = false): string =>
    conv2dCandidates(s, { direction, pool }, CONTEXT).key;
  assert.is(keyOf(shapeOf(33, 8, 8, 8), "forward"), keyOf(shapeOf(64, 8, 8, 8), "forward"));
  const keys = [
    keyOf(shapeOf(32, 8, 8, 8), "forward"),
    keyOf(shapeOf(64, 8, 8, 8), "forward"),
    keyOf(shapeOf(64, 8, 8, 8), "forward", true),
    keyOf(shapeOf(64, 8, 8, 8), "backwardInput"),
    keyOf(shapeOf(64, 8, 8, 9), "forward"),
  ];
  assert.is(new Set(keys).size, keys.length);
});

test.run();
