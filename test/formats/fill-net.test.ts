/** Tensors from files into nets, permuted and turned, against a loop over indices that knows nothing of chunks and strides. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WeightsError } from "#src/core/errors.js";
import { createEngine } from "#src/engine.js";
import { fillNet, type NetTensorPlace } from "#src/formats/fill-net.js";
import { QuantizedWeight } from "#src/nn/quantized-linear.js";
import { formulaFill } from "../fixtures/formula.js";
import { sameValues } from "../helpers/compare.js";
import { fakeFile } from "../helpers/weights-file.js";
import { fails } from "../io/fails.js";

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, side) => product * side, 1);

/** A whole number below n, by a number that counts up. */
let drawn = 0;
function draw(n: number): number {
  const value = new Float32Array(1);
  formulaFill(value, 99, 1, drawn++);
  return Math.min(n - 1, Math.floor((value[0] + 0.5) * n));
}

/** Element by element: unravels the index in the result, turns it, and finds it in the view. */
function naive(
  values: Float32Array,
  view: readonly number[],
  axes: readonly number[],
  reversedAxis?: number,
): Float32Array {
  const shape = axes.map((axis) => view[axis]);
  return Float32Array.from({ length: values.length }, (_, flat) => {
    const source = new Array<number>(view.length).fill(0);
    let rest = flat;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const index = rest % shape[axis];
      rest = (rest - index) / shape[axis];
      source[axes[axis]] = axis === reversedAxis ? shape[axis] - 1 - index : index;
    }
    return values[source.reduce((sum, index, axis) => sum * view[axis] + index, 0)];
  });
}

/** The tensor of a model of one, filled from a file of one; counts what is read. */
async function filled(
  stored: readonly number[],
  place: NetTensorPlace,
  shape: readonly number[],
): Promise<{ values: Float32Array; out: Float32Array; reads: number[] }> {
  const values = new Float32Array(sizeOf(stored));
  formulaFill(values, 1, 2);
  const reads: number[] = [];
  const file = fakeFile([["stored", stored]], {
    async readFloats(_, begin, target) {
      reads.push(target.length);
      assert.ok(begin + target.length <= values.length, "reads past the end");
      target.set(values.subarray(begin, begin + target.length));
    },
  });
  const out = new Float32Array(sizeOf(shape)).fill(Number.NaN);
  const tensor = {
    shape,
    read: async () => out,
    writeFrom: async (write: (bytes: Uint8Array) => Promise<void>) => write(new Uint8Array(out.buffer)),
  };
  await fillNet(file, { stateDict: () => new Map([["weight", tensor]]) }, new Map([["weight", place]]));
  return { values, out, reads };
}

test("200 permutations of random tensors, axes turned or not, scaled or not", async () => {
  for (let round = 0; round < 200; round++) {
    const view = Array.from({ length: 1 + draw(5) }, () => 1 + draw(round % 4 === 0 ? 40 : 6));
    if (sizeOf(view) > 200_000) continue;
    const axes = view.map((_, axis) => axis);
    for (let i = axes.length - 1; i > 0; i--) {
      const j = draw(i + 1);
      [axes[i], axes[j]] = [axes[j], axes[i]];
    }
    const reversedAxis = draw(2) === 0 ? undefined : draw(view.length);
    const scale = draw(3) === 0 ? 0.5 : undefined;
    const shape = axes.map((axis) => view[axis]);
    const place = {
      tensor: "stored",
      permute: axes,
      ...(reversedAxis === undefined ? {} : { reversedAxis }),
      ...(scale === undefined ? {} : { scale }),
    };
    const { values, out } = await filled(view, place, shape);
    const expected = naive(values, view, axes, reversedAxis).map((value) => value * (scale ?? 1));
    assert.ok(
      sameValues(out, expected),
      `view [${view}] permute [${axes}] reversedAxis ${reversedAxis} scale ${scale}`,
    );
  }
});

for (const [what, view, axes, reversedAxis] of [
  ["HWIO to OIHW", [3, 3, 64, 128], [3, 2, 0, 1], 1],
  ["rows that do not divide a chunk", [700, 1999], [1, 0], undefined],
  ["rows that do not divide a chunk, turned", [700, 1999], [1, 0], 0],
  ["a row longer than a chunk", [2, 1_100_000], [1, 0], 1],
  ["one row", [1_300_000], [0], 0],
  ["an outer axis that a chunk cuts", [5, 7, 11, 3001], [2, 0, 3, 1], 2],
] as [string, number[], number[], number | undefined][]) {
  test(`${what}: view [${view}] permute [${axes}] reversedAxis ${reversedAxis}`, async () => {
    const place = { tensor: "stored", permute: axes, ...(reversedAxis === undefined ? {} : { reversedAxis }) };
    const shape = axes.map((axis) => view[axis]);
    const { values, out, reads } = await filled(view, place, shape);
    assert.ok(sameValues(out, naive(values, view, axes, reversedAxis)));
    // Never all of a large tensor at once, and nothing twice.
    assert.is(
      reads.reduce((sum, count) => sum + count),
      values.length,
    );
    assert.ok(Math.max(...reads) <= Math.max(1 << 20, view[view.length - 1]));
  });
}

test("turned without permutation: the file's array is of the net's shape, whatever shape it says", async () => {
  const { values, out } = await filled([4, 75], { tensor: "stored", reversedAxis: 1 }, [4, 3, 5, 5]);
  assert.ok(sameValues(out, naive(values, [4, 3, 5, 5], [0, 1, 2, 3], 1)));
});

test("a view: Keras's first matrix after a flattened map", async () => {
  const [side, channels, outputs] = [3, 4, 5];
  const place = { tensor: "stored", view: [side, side, channels, outputs], permute: [3, 2, 0, 1] };
  const { values, out } = await filled([side * side * channels, outputs], place, [outputs, channels * side * side]);
  for (let o = 0; o < outputs; o++)
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++)
          assert.is(
            out[((o * channels + c) * side + y) * side + x],
            values[((y * side + x) * channels + c) * outputs + o],
          );
});

test("as it is: one read, right into the net's memory; scale; fill", async () => {
  const plain = await filled([2, 3], { tensor: "stored" }, [3, 2]);
  assert.ok(sameValues(plain.out, plain.values));
  assert.equal(plain.reads, [6]);
  const scaled = await filled([6], { tensor: "stored", scale: 0.25 }, [6]);
  assert.ok(
    sameValues(
      scaled.out,
      scaled.values.map((value) => value * 0.25),
    ),
  );
  const constant = await filled([1], { fill: 0.5 }, [4]);
  assert.equal([[...constant.out], constant.reads], [[0.5, 0.5, 0.5, 0.5], []]);
});

test("another number of elements, a tensor without place", async () => {
  const remedy = "Use the net that the file was saved from.";
  await fails(
    filled([2, 3], { tensor: "stored" }, [2, 2]),
    WeightsError,
    `load: a tensor of net.bin does not fill the net's (stored [2,3], net [2,2]). ${remedy}`,
  );
  await fails(
    filled([2, 3], { tensor: "stored", view: [6, 2], permute: [1, 0] }, [2, 3]),
    WeightsError,
    "(stored [2,3], net [2,3])",
  );
  await fails(
    filled([2], { tensor: "no" }, [2]),
    WeightsError,
    "load: a tensor of net.bin does not fill the net's (no [undefined], net [2])",
  );
  const tensor = { shape: [2], read: async () => new Float32Array(2), writeFrom: async () => undefined };
  await fails(
    fillNet(fakeFile([]), { stateDict: () => new Map([["fc.bias", tensor]]) }, new Map()),
    WeightsError,
    `load: net.bin lacks a tensor of the net (missing fc.bias [2]). ${remedy}`,
  );
});

for (const type of ["float16", "int8"] as const) {
  test(`weights in memory as ${type}: permuted, turned and scaled ones as those that lie right`, async () => {
    const engine = await createEngine({ threads: 1 });
    const [rows, columns] = [5, 12];
    const values = new Float32Array(rows * columns);
    formulaFill(values, 1, 2);
    const transposed = naive(values, [rows, columns], [1, 0]);
    const turned = naive(values, [rows, columns], [0, 1], 1);
    const file = fakeFile(
      [
        ["plain", [rows, columns]],
        ["transposed", [columns, rows]],
        ["turned", [rows, columns]],
        ["doubled", [rows, columns]],
      ],
      {
        values: new Map([
          ["plain", values],
          ["transposed", transposed],
          ["turned", turned],
          ["doubled", values.map((value) => value * 2)],
        ]),
      },
    );
    const found: Float32Array[] = [];
    for (const place of [
      { tensor: "plain" },
      { tensor: "transposed", permute: [1, 0] },
      { tensor: "turned", reversedAxis: 1 },
      { tensor: "doubled", scale: 0.5 },
    ]) {
      const weight = new QuantizedWeight(engine, rows, columns, type);
      await fillNet(file, { stateDict: () => new Map([["weight", weight]]) }, new Map([["weight", place]]));
      found.push(await weight.read());
    }
    await engine.close();
    // Rounded to a hundredth of the largest.
    assert.ok(found[0].every((value, i) => Math.abs(value - values[i]) < 0.01));
    for (const other of found.slice(1)) assert.ok(sameValues(other, found[0]), `[${other}]\n[${found[0]}]`);
  });
}

test.run();
