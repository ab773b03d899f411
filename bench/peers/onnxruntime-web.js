// ONNX Runtime Web: the CPU execution provider compiled to WebAssembly SIMD, with all graph optimisations.

import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";
import { prepareOnnx } from "./onnx.js";
import { serve } from "./serve.js";

serve(async ({ job, threads }) => {
  ort.env.wasm.numThreads = threads;
  const prepared = await prepareOnnx(ort, job, (path) =>
    ort.InferenceSession.create(readFileSync(path), { executionProviders: ["wasm"], graphOptimizationLevel: "all" }),
  );
  return { ...prepared, version: ort.env.versions.web, threads, detail: "wasm SIMD execution provider" };
});
