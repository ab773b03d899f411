/** Writes ONNX files on disk, all or nothing. The bytes: onnx-write.ts; the safe replacing: atomic-file.ts. */

import { writeFileAtomically } from "../../io/atomic-file.js";
import type { NetLayer } from "../../models/net-config.js";
import { encodeOnnx, type OnnxState, type OnnxWriteOptions } from "./onnx-write.js";

/**
 * Writes a net as an ONNX file; the old one stays whole until the new one is complete. See encodeOnnx.
 * @throws UsageError where the path cannot be written, or ONNX cannot say the net.
 */
export async function writeOnnx(
  file: string,
  layers: readonly NetLayer[],
  model: OnnxState,
  metadata: Readonly<Record<string, string>> = {},
  options: OnnxWriteOptions = {},
): Promise<void> {
  await writeFileAtomically("writeOnnx", file, async (handle) => {
    for await (const chunk of encodeOnnx(layers, model, metadata, options)) await handle.writeFile(chunk);
  });
}
