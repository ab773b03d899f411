/** Serves the clone's files on localhost, as a web server would that knows nothing of them, or one that isolates its pages. */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".js": "text/javascript",
  ".html": "text/html",
  ".wasm": "application/wasm",
};

const PAGE = '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>verydeep</title></html>';

/** The server's address, what it was asked for, and how to end it. */
export interface Site {
  readonly url: string;
  readonly paths: readonly string[];
  close(): Promise<void>;
}

/** What a page needs that shares memory with its workers. */
const ISOLATION: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};
/** What others may use in their pages, as from a CDN. */
const SHARED: Readonly<Record<string, string>> = { "access-control-allow-origin": "*" };

/**
 * @param isolated whether pages get the headers with which they may share memory; else their scripts may be used by all.
 * @param folder what is served; default: the clone.
 */
export async function serve(isolated = false, folder = root): Promise<Site> {
  const paths: string[] = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    paths.push(pathname);
    response.setHeaders(new Map(Object.entries(isolated ? ISOLATION : SHARED)));
    if (pathname === "/") {
      response.setHeader("content-type", "text/html").end(PAGE);
      return;
    }
    const file = path.resolve(folder, `.${decodeURIComponent(pathname)}`);
    const bytes = file.startsWith(folder) ? await readFile(file).catch(() => null) : null;
    if (bytes === null) response.statusCode = 404;
    else response.setHeader("content-type", TYPES[path.extname(file)] ?? "application/octet-stream");
    response.end(bytes ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}/`,
    paths,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
