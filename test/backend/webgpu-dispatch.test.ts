/** Plain data of the WebGPU backend: grids, pieces, the text of shaders, uniforms, windows of memory. No device is needed. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Place } from "#src/backend/backend.js";
import { type DeviceFacts, type Dispatch, float, grid, pieceLength, pieces } from "#src/backend/webgpu/dispatch.js";
import { generalised, shaderText, writeUniform } from "#src/backend/webgpu/shader.js";
import { throws } from "../engine/nets.js";

const FACTS: DeviceFacts = {
  pieceBytes: 1024,
  maxWorkgroups: 65535,
  maxThreads: 256,
  workgroupBytes: 16384,
  subgroups: false,
};

function place(length: number, dtype: Place["dtype"] = "float32"): Place {
  return { slot: 0, length, dtype };
}

// ---- grids and pieces -------------------------------------------------------------------------------------------------------

test("grid: every workgroup, few too many, no direction too long", () => {
  for (const count of [1, 2, 65535, 65536, 65537, 131070, 131071, 1e6, 4e9]) {
    const [x, y, z] = grid(count, FACTS);
    assert.ok(x * y >= count && x * y - count < y, `${count}: ${x} ${y}`);
    assert.ok(x <= FACTS.maxWorkgroups && y <= FACTS.maxWorkgroups);
    assert.is(z, 1);
  }
  assert.equal(grid(7, { ...FACTS, maxWorkgroups: 3 }), [3, 3, 1]);
});

test("pieces: whole tensors, in order, of the size that the type gives them", () => {
  assert.equal(
    pieces(place(600), FACTS).map(({ begin, length }) => [begin, length]),
    [
      [0, 256],
      [256, 256],
      [512, 88],
    ],
  );
  assert.equal(pieces(place(256), FACTS).length, 1);
  assert.equal(
    (["float32", "int32", "uint8", "float16", "int8"] as const).map((dtype) => pieceLength(place(1, dtype), FACTS)),
    [256, 256, 256, 512, 1024],
  );
});

// ---- the text of shaders ------------------------------------------------------------------------------------------------------

function dispatch(source: string, more: Partial<Dispatch> = {}): Dispatch {
  const workgroups = [5, 2, 1] as const;
  return { name: "test", source, constants: {}, tensors: {}, writes: [], uniforms: {}, workgroups, ...more };
}

/** What the conditions leave of a source. */
function left(source: string, more: Partial<Dispatch> = {}): string[] {
  const lines = shaderText(dispatch(`// begin\n${source}`, more), [], new Map()).split("\n");
  return lines.slice(lines.indexOf("// begin") + 1);
}

test("shaderText: constants of their types, float32 to the last bit; the grid's width where it is asked for", () => {
  const constants = { A: 3, B: -3, C: true, D: float(0.1), E: float(-2), F: float(16777217) };
  const text = shaderText(dispatch("GRID_X", { constants }), [], new Map());
  assert.equal(text.split("\n").slice(0, 7), [
    "const A = 3u;",
    "const B = -3i;",
    "const C = true;",
    "const D = 1.00000001e-1f;",
    "const E = -2.00000000e+0f;",
    "const F = 1.67772160e+7f;",
    "const GRID_X = 5u;",
  ]);
  for (const value of [0.1, 1 / 3, 3.4028234663852886e38, 1.1754943508222875e-38, 123456.789]) {
    const [line] = shaderText(dispatch("", { constants: { A: float(value) } }), [], new Map()).split("\n");
    assert.is(Math.fround(Number(/= (.*)f;/.exec(line)?.[1])), Math.fround(value));
  }
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e39]) {
    throws(
      () => shaderText(dispatch("", { constants: { A: float(value) } }), [], new Map()),
      RangeError,
      `a shader's constant is ${value}`,
    );
  }
});

test("shaderText: bindings in order, uniforms behind them, what a device must be able to do in front", () => {
  const text = shaderText(
    dispatch("fn main() {}", {
      constants: { f16: true, subgroups: true },
      uniforms: { lr: float(0.1), count: 3 },
    }),
    [
      { name: "x", element: "vec4<f32>", writable: false },
      { name: "y", element: "i32", writable: true },
    ],
    new Map(),
  );
  assert.equal(text.split("\n"), [
    "enable f16;",
    "enable subgroups;",
    "struct Uniforms { lr: f32, count: u32 }",
    "@group(0) @binding(2) var<uniform> u: Uniforms;",
    "@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;",
    "@group(0) @binding(1) var<storage, read_write> y: array<i32>;",
    "fn main() {}",
  ]);
});

test("shaderText: values of uniforms are no part of it, so that steps share a pipeline", () => {
  const text = (lr: number): string => shaderText(dispatch("", { uniforms: { lr: float(lr) } }), [], new Map());
  assert.is(text(0.1), text(0.2));
});

test("shaderText: conditions by constants that hold and by tensors that are there, nested, with #else", () => {
  const source = "#if a\n1\n#if bias\n2\n#else\n3\n#endif\n4\n#else\n5\n#if !bias\n6\n#endif\n#endif\n7";
  const bias = { place: place(1), begin: 0, length: 1 };
  assert.equal(left(source, { constants: { a: true }, tensors: { bias } }), ["1", "2", "4", "7"]);
  assert.equal(left(source, { constants: { a: true }, tensors: { bias: null } }), ["1", "3", "4", "7"]);
  assert.equal(left(source, { tensors: { bias } }), ["5", "7"]);
  assert.equal(left(source, { constants: { a: false } }), ["5", "6", "7"]);
  // A number is no condition, were it 1.
  assert.equal(left("#if a\n1\n#endif\n2", { constants: { a: 1 } }), ["2"]);
});

test("shaderText: a tensor in another's memory has its name, but for members and longer words", () => {
  const text = shaderText(
    dispatch("dx[i] = dy[i] * id.dx + dx2[0] + u.dx;"),
    [{ name: "dy", element: "f32", writable: true }],
    new Map([["dx", "dy"]]),
  );
  assert.ok(text.endsWith("\ndy[i] = dy[i] * id.dx + dx2[0] + u.dx;"), text);
});

test("generalised: sizes become uniforms, but for those that the compiler must know, members and longer words", () => {
  const source =
    "const ROWS = TILE / 4;\nvar<workgroup> t: array<f32, TILE>;\n" +
    "y[i * WIDTH + GRID_X] = x[id.WIDTH] * ALPHA + WIDTH2 + f32(SHIFT);\n#if relu\n#endif\n#for j TIMES\n#end";
  const constants = { TILE: 8, WIDTH: 3, ALPHA: float(0.5), relu: true, SHIFT: -2, TIMES: 2, UNUSED: 9 };
  const general = generalised(dispatch(source, { constants, uniforms: { lr: float(1) } }));
  assert.equal(general.constants, { TILE: 8, relu: true, TIMES: 2 });
  assert.equal(Object.entries(general.uniforms), [
    ["lr", float(1)],
    ["WIDTH", 3],
    ["ALPHA", float(0.5)],
    ["SHIFT", -2],
    ["GRID_X", 5],
  ]);
  const text = shaderText(general, [], new Map());
  assert.ok(text.includes("y[i * u.WIDTH + u.GRID_X] = x[id.WIDTH] * u.ALPHA + WIDTH2 + f32(u.SHIFT);"), text);
  assert.ok(text.includes("struct Uniforms { lr: f32, WIDTH: u32, ALPHA: f32, SHIFT: i32, GRID_X: u32 }"), text);
  // Another shape has the same text.
  const other = dispatch(source, { constants: { ...constants, WIDTH: 700 }, uniforms: { lr: float(1) } });
  assert.is(shaderText(generalised(other), [], new Map()), text);
});

test("writeUniform: words by type, negative ones in two's complement", () => {
  const view = new DataView(new ArrayBuffer(16));
  for (const [i, value] of [4294967295, -2, float(0.1), 7].entries()) writeUniform(view, i * 4, value);
  assert.is(view.getUint32(0, true), 4294967295);
  assert.is(view.getInt32(4, true), -2);
  assert.is(view.getFloat32(8, true), Math.fround(0.1));
  assert.is(view.getUint32(12, true), 7);
});

test.run();
