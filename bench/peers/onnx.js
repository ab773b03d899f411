// What both builds of ONNX Runtime share: the job's net as an ONNX file in the OS's temp folder, for as long as a session
// takes to be made, and a forward pass on that session.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inputOf } from "./net.js";
import { writeOnnx } from "./onnx-model.js";

/** `createSession(path)` resolves to a session. */
export async function prepareOnnx(ort, job, createSession) {
  if (job.kind === "train") return { cannot: "inference only" };
  const folder = mkdtempSync(join(tmpdir(), "verydeep-peers-"));
  try {
    const path = join(folder, "model.onnx");
    writeOnnx(path, job);
    const session = await createSession(path);
    const x = new ort.Tensor("float32", inputOf(job), job.inputShape);
    return {
      run: async () => {
        const { y } = await session.run({ x });
        return y.getData();
      },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
