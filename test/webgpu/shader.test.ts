/** What is written in front of a kernel's source. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { shaderText } from "#src/backend/webgpu/shader.js";

test("features are enabled and decide conditions, but hide no type of their name", () => {
  const dispatch = { name: "", tensors: {}, writes: [], uniforms: {}, workgroups: [1, 1, 1] } as const;
  const source = "#if f16\nalias Number = f16;\n#else\nalias Number = f32;\n#endif";
  const text = (constants: Record<string, number | boolean>) =>
    shaderText({ ...dispatch, source, constants }, [], new Map());
  assert.is(text({ f16: true, M: 2 }), "enable f16;\nconst M = 2u;\nalias Number = f16;");
  assert.is(text({ M: 2 }), "const M = 2u;\nalias Number = f32;");
});

test("the width of the grid is there where the source asks for it", () => {
  const dispatch = { name: "", constants: {}, tensors: {}, writes: [], uniforms: {}, workgroups: [7, 2, 1] } as const;
  assert.is(shaderText({ ...dispatch, source: "GRID_X" }, [], new Map()), "const GRID_X = 7u;\nGRID_X");
});

test.run();
