/** How Winograd's convolutions are cut on WebGPU, and where they are worth it: no GPU is needed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Conv2dShape } from "#src/backend/backend.js";
import type { LoweringContext } from "#src/backend/webgpu/dispatch.js";
import { conv2dAlgorithm } from "#src/backend/webgpu/kernels/conv-plan.js";
import {
  blocksOf,
  canWinograd,
  convolved,
  cutGradient,
  cutTiles,
  layOut,
  spanOf,
  winogradTiles,
  winogradWorth,
} from "#src/backend/webgpu/kernels/winograd-plan.js";

/** Of a 3x3 convolution with stride 1. */
function shapeOf(
  [batch, inC, inH, inW]: readonly number[],
  outC: number,
  [padH, padW]: readonly number[],
): Conv2dShape {
  const [outH, outW] = [inH + 2 * padH - 2, inW + 2 * padW - 2];
  const window = { kH: 3, kW: 3, strideH: 1, strideW: 1, dilationH: 1, dilationW: 1, groups: 1 };
  return { batch, inC, inH, inW, outC, outH, outW, padH, padW, ...window };
}

const DEFAULT = { pieceBytes: 128 << 20, f16: false };
const VGG: readonly (readonly [inC: number, outC: number, size: number])[] = [
  [64, 64, 224],
  [64, 128, 112],
  [128, 256, 56],
  [256, 512, 28],
  [512, 512, 14],
];

test("blocks cover all tiles once, and no window crosses a piece", () => {
  for (const [inC, outC, size] of [...VGG, [3, 5, 3], [7, 1024, 31]]) {
    for (const batch of [1, 5, 64]) {
      const s = shapeOf([batch, inC, size, size], outC, [1, 1]);
      for (const tile of [2, 4] as const) {
        const cut = cutTiles(s, tile, DEFAULT);
        const blocks = blocksOf(s, cut);
        const tiles = blocks.reduce((sum, block) => sum + block.tiles, 0);
        assert.is(tiles, batch * cut.tilesH * cut.tilesW);
        assert.ok(blocks.every((block) => block.tiles <= cut.tiles && cut.tiles <= cut.stride));
        const { chunk, parts } = cutGradient(s, tile, cut);
        assert.ok(chunk % 16 === 0 && chunk <= 2048 && chunk * parts >= cut.stride && chunk * (parts - 1) < cut.stride);
        for (const direction of ["forward", "backwardInput", "backwardWeight"] as const) {
          assert.ok(winogradTiles(s, direction, DEFAULT).includes(tile));
          const { planes, others, totals, length } = layOut(convolved(s, direction), direction, tile, DEFAULT);
          const pieceOf = (element: number): number => Math.floor((element * 4) / DEFAULT.pieceBytes);
          for (const { begin, length } of [planes, others, totals]) {
            assert.is(begin % 256, 0);
            assert.ok(length === 0 || pieceOf(begin) === pieceOf(begin + length - 1));
          }
          assert.ok(length * 4 <= 256 << 20, `${length * 4} bytes`);
        }
      }
    }
  }
});

test("what a kernel cannot see at once does not fit", () => {
  const s = shapeOf([1, 1024, 8, 8], 1024, [1, 1]);
  assert.equal(winogradTiles(s, "forward", DEFAULT), [2], "in tiles of 4x4 the filters take 151 MB");
  assert.equal(winogradTiles(shapeOf([1, 64, 800, 800], 8, [1, 1]), "forward", DEFAULT), [], "an image takes 164 MB");
});

test("a range of a tensor is in one piece or two", () => {
  const place = { slot: 0, length: 5000, dtype: "float32" } as const;
  const facts = { pieceBytes: 8192, maxWorkgroups: 1, maxThreads: 1, workgroupBytes: 1, subgroups: false };
  const one = spanOf(place, 2049, 1000, facts);
  assert.equal([one.window.begin, one.window.length, one.next, one.begin], [2048, 1001, null, 1]);
  const two = spanOf(place, 1900, 400, facts);
  assert.equal([two.window.begin, two.window.length, two.begin, two.cut], [1792, 256, 108, 256]);
  assert.equal([two.next?.begin, two.next?.length], [2048, 252]);
});

test("Winograd is worth it where channels are many, by tiles of 4x4", () => {
  for (const [inC, outC, size] of VGG) {
    const s = shapeOf([16, inC, size, size], outC, [1, 1]);
    assert.is(winogradWorth(s, "forward", DEFAULT), 4, `${inC} ${size}`);
    assert.is(winogradWorth(s, "backwardInput", DEFAULT), 4, `${inC} ${size}`);
    assert.is(winogradWorth(s, "backwardWeight", DEFAULT), 4, `${inC} ${size}`);
  }
  for (const direction of ["forward", "backwardInput", "backwardWeight"] as const) {
    assert.is(winogradWorth(shapeOf([16, 3, 224, 224], 64, [1, 1]), direction, DEFAULT), null, "3 channels");
  }
  assert.is(
    winogradWorth(shapeOf([1, 16, 8, 8], 16, [1, 1]), "forward", DEFAULT),
    null,
    "too small for more dispatches",
  );
  const strided = { ...shapeOf([16, 256, 56, 56], 256, [1, 1]), strideH: 2, outH: 28 };
  assert.not(canWinograd(strided));
  assert.is(winogradWorth(strided, "forward", DEFAULT), null);
});

test("a forced tile gives way to a product where it cannot be; auto follows the measurement, then the rule", () => {
  const device = {
    maxWorkgroups: 65535,
    maxThreads: 256,
    workgroupBytes: 16384,
    subgroups: false,
    tuned: () => null,
    compact: false,
  };
  const of = (s: Conv2dShape, context: Partial<LoweringContext>): string =>
    conv2dAlgorithm(s, { direction: "forward" }, { ...device, ...DEFAULT, convAlgorithm: "auto", ...context });
  const deep = shapeOf([16, 256, 56, 56], 256, [1, 1]);
  assert.is(of(deep, { convAlgorithm: "winograd2" }), "winograd2");
  assert.is(of(deep, { convAlgorithm: "winograd4" }), "winograd4");
  assert.match(of(deep, { convAlgorithm: "exact" }), /^gemm /);
  assert.match(of({ ...deep, strideW: 2, outW: 28 }, { convAlgorithm: "winograd4" }), /^gemm /);
  assert.match(of(shapeOf([1, 1024, 8, 8], 1024, [1, 1]), { convAlgorithm: "winograd4" }), /^gemm /);
  assert.is(of(deep, {}), "winograd4");
  assert.is(of(deep, { tuned: () => "winograd2" }), "winograd2");
  assert.is(of(deep, { tuned: () => "of another version" }), "winograd4");
});

test.run();
