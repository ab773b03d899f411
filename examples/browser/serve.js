// Serves the clone on this machine, for the page beside this file: node examples/browser/serve.js [port] [--isolate]
// With --isolate come the two headers by which a page may share memory with its workers: then WebAssembly computes with all threads.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const PAGE = "/examples/browser/index.html";
/** What the page needs; nothing else of the clone is served. */
const FOLDERS = ["/dist/", "/examples/browser/", "/weights/"];
const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".png": "image/png",
  ".wasm": "application/wasm",
};
const ISOLATION = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

const args = process.argv.slice(2);
const headers = args.includes("--isolate") ? ISOLATION : {};
const port = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 8080);

async function answer(request, response) {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname === "/") return response.writeHead(302, { location: PAGE }).end();
  // Normalised: no ".." is left that could lead out of the folders.
  const name = path.posix.normalize(decodeURIComponent(pathname));
  if (!FOLDERS.some((folder) => name.startsWith(folder))) return response.writeHead(404).end();
  const bytes = await readFile(path.join(root, name));
  return response
    .writeHead(200, { "content-type": TYPES[path.extname(name)] ?? "application/octet-stream", ...headers })
    .end(bytes);
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.writeHead(404).end());
});
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${server.address().port}${PAGE}`));
