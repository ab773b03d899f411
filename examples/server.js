// A server on localhost that classifies pictures: POST a PNG, JPEG or WebP, get its likeliest classes as JSON.
// Requests may overlap as they like: pictures that wait at the same time are computed together, on all cores.
//
//   node examples/server.js [PORT]
//   curl --data-binary @weights/pictures/heart.png http://127.0.0.1:8080
//
// Ctrl-C answers what has been asked, then ends.
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { DataError, load } from "verydeep";

const WEIGHTS = fileURLToPath(new URL("../weights/shapes-vgg.safetensors", import.meta.url));
const MAX_BYTES = 20_000_000;
const port = Number(process.argv[2] ?? 8080);

const net = await load(WEIGHTS);

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
    answer(200, await net.classify(await readBody(request), { top: 3 }));
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
  await net.close();
}
process.once("SIGINT", shutDown);
process.once("SIGTERM", shutDown);

server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
