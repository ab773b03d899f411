/**
 * VGG-16 of full size in every format: 138 million weights, which the script of the fixtures writes to a folder of about 10 GB.
 *
 *   python3 test/fixtures/make-formats.py --full FOLDER       Debian's python3-torch, python3-h5py, python3-onnx; --only FILE,... for some
 *   node --import tsx scripts/long/formats-full.ts FOLDER     after npm run build
 *
 * Prints one JSON object a file: seconds until the net is there, engine included, the largest distance of its logits from PyTorch's float64 relative
 * to the largest logit, and whether they are those of the first file to the bit. Exits with 1 where a file fails.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { load } from "#src/index.js";
import { formulaFill } from "../../test/fixtures/formula.js";
import { maxRelativeError, sameValues } from "../../test/helpers/compare.js";

/** As for the whole net in test/system/vgg16-logits.test.ts. */
const TOLERANCE = 1e-5;

interface Formats {
  readonly pictures: readonly { readonly t: number; readonly scale: number }[];
  readonly nets: readonly {
    readonly inputSize: number;
    readonly logits: readonly (readonly number[])[];
    readonly files: readonly { readonly file: string; readonly order: "RGB" | "BGR" }[];
  }[];
}

const folder = process.argv[2];
if (folder === undefined)
  throw new Error("formats-full: no folder is given. Name the one that make-formats.py --full wrote.");
const { pictures, nets }: Formats = JSON.parse(readFileSync(path.join(folder, "formats.json"), "utf8"));
const [{ inputSize, logits, files }] = nets;

async function logitsOf(file: string, order: "RGB" | "BGR"): Promise<{ seconds: number; found: Float32Array[] }> {
  const start = performance.now();
  const net = await load(path.join(folder, file), { preprocessing: order === "BGR" ? "caffe" : "torchvision" });
  const seconds = (performance.now() - start) / 1000;
  const { engine, model } = net;
  try {
    const found: Float32Array[] = [];
    for (const { t, scale } of pictures) {
      const x = new Float32Array(3 * inputSize * inputSize);
      formulaFill(x, t, scale);
      found.push(await engine.noGrad(() => model.forward(engine.tensor(x, [1, 3, inputSize, inputSize]))).data());
    }
    return { seconds, found };
  } finally {
    await net.close();
  }
}

let first: Float32Array[] | undefined;
for (const { file, order } of files) {
  try {
    const { seconds, found } = await logitsOf(file, order);
    const distance = Math.max(...found.map((values, i) => maxRelativeError(values, logits[i])));
    first ??= found;
    const reference = first;
    const sameBits = found.every((values, i) => sameValues(values, reference[i]));
    if (!(distance <= TOLERANCE && sameBits)) process.exitCode = 1;
    console.log(JSON.stringify({ file, seconds: Number(seconds.toFixed(2)), distance, sameBits }));
  } catch (error) {
    process.exitCode = 1;
    console.log(JSON.stringify({ file, error: String(error) }));
  }
}
