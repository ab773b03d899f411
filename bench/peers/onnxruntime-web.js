// ONNX Runtime Web, CPU execution provider compiled to WebAssembly SIMD. The model is written once to the OS temp folder.

import { mkdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-web";
import { INPUT_SHAPE, picture } from "./net.js";
import { writeVgg16Onnx } from "./onnx-model.js";
import { serve } from "./serve.js";

serve(async ({ threads }) => {
  const folder = join(tmpdir(), "verydeep-peers");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "vgg16.onnx");
  writeVgg16Onnx(path);
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(readFileSync(path), {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  const x = new ort.Tensor("float32", picture(), INPUT_SHAPE);
  return {
    version: ort.env.versions.web,
    threads,
    detail: "wasm execution provider",
    run: async () => {
      const { logits } = await session.run({ x });
      return logits.getData();
    },
  };
});
