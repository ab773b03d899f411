// ONNX Runtime for Node: native code (MLAS), with all graph optimisations. `intraOpNumThreads` counts the calling thread.

import ort from "onnxruntime-node";
import { prepareOnnx } from "./onnx.js";
import { serve } from "./serve.js";

serve(async ({ job, threads }) => {
  const prepared = await prepareOnnx(ort, job, (path) =>
    ort.InferenceSession.create(path, {
      executionProviders: ["cpu"],
      graphOptimizationLevel: "all",
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
    }),
  );
  return { ...prepared, version: ort.env.versions.node, threads, detail: "native, CPU execution provider" };
});
