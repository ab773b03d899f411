// A server on localhost that classifies pictures: POST a PNG, JPEG or WebP, get its likeliest classes as JSON.
// Requests may overlap as they like: each records a program of its own, and the engine runs them in turn on all cores.
//
//   node examples/server.js [PORT]
//   curl --data-binary @weights/pictures/heart.png http://127.0.0.1:8080
//
// Ctrl-C answers what has been asked, then ends.
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { createEngine, DataError, decodePicture, fitPicture, loadModel, logSoftmax } from "verydeep";

const WEIGHTS = fileURLToPath(new URL("../weights/shapes-vgg.safetensors", import.meta.url));
const MAX_BYTES = 20_000_000;
const TOP = 3;
const port = Number(process.argv[2] ?? 8080);

const engine = await createEngine();
const { model, metadata } = await loadModel(WEIGHTS, engine);
const { inputSize: size, mean, std, classes } = metadata;

async function classify(bytes) {
  const planes = fitPicture(await decodePicture(bytes), size); // [3, size, size], bytes
  const x = Float32Array.from(planes, (byte, i) => {
    const channel = Math.floor(i / (size * size));
    return (byte - mean[channel]) / std[channel];
  });
  const scores = await engine.noGrad(() => logSoftmax(model.forward(engine.tensor(x, [1, 3, size, size])))).data();
  return Array.from(scores, (score, i) => ({ label: classes[i], probability: Math.exp(score) }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, TOP);
}

async function readBody(request) {
  const parts = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > MAX_BYTES)
      throw new DataError(`server: the picture is too large (over ${MAX_BYTES} bytes). Shrink it.`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const server = createServer(async (request, response) => {
  const answer = (status, value) => {
    response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`);
  };
  if (request.method !== "POST") return answer(405, { error: "POST a PNG, JPEG or WebP picture" });
  try {
    answer(200, await classify(await readBody(request)));
  } catch (error) {
    // What is wrong with a picture is the sender's to know; anything else is ours.
    if (error instanceof DataError) return answer(400, { error: error.message });
    console.error(error);
    answer(500, { error: "internal error" });
  }
});

async function shutDown() {
  console.log("shutting down");
  // Takes no more connections; waits for the answers that are under way.
  await new Promise((resolve) => server.close(resolve));
  await engine.close();
}
process.once("SIGINT", shutDown);
process.once("SIGTERM", shutDown);

server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
