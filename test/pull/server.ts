/** Small servers that misbehave on purpose, a tiny weights file to fetch from them, and its manifest entry. */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http, { type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import https from "node:https";
import net, { type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ManifestEntry } from "#src/pull/manifest.js";

/** 64 KiB and some: bytes that do not repeat. */
export const CONTENT: Buffer = Buffer.concat(
  Array.from({ length: 2100 }, (_, index) => createHash("sha256").update(String(index)).digest()),
);
export const SHA256: string = createHash("sha256").update(CONTENT).digest("hex");
export const ETAG = '"version-1"';

/** An entry for {@link CONTENT}: its size known to some bytes only, unless `exact`, and eight digits of its hash. */
export function entryOf(base: string, exact = false): ManifestEntry {
  return {
    name: "tiny",
    config: "A",
    batchNorm: false,
    params: 16_800,
    file: "tiny.pth",
    url: `${base}tiny.pth`,
    minBytes: CONTENT.length - (exact ? 0 : 300),
    maxBytes: CONTENT.length + (exact ? 0 : 300),
    sha256: SHA256.slice(0, 8),
    licence: "Free for tests.",
    top1: 69,
    top5: 88.6,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    scale: 256,
    inputSize: 224,
  };
}

/** A server's answer to its n-th request, n from 0. */
export type Script = (request: IncomingMessage, response: ServerResponse, count: number) => void;

/** A server that is running. */
export interface Running {
  /** Its address, with a slash at the end. */
  readonly base: string;
  readonly requests: IncomingMessage[];
  close(): Promise<void>;
}

const pem = readFileSync(new URL("../fixtures/localhost.pem", import.meta.url), "utf8");

/** Starts a server on a free port of this machine. */
export async function serve(script: Script, secure = false): Promise<Running> {
  const requests: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    script(request, response, requests.length - 1);
  };
  const server = secure ? https.createServer({ key: pem, cert: pem }, listener) : http.createServer(listener);
  const port = await listen(server);
  return {
    base: `${secure ? "https" : "http"}://127.0.0.1:${port}/`,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** As a good server answers: ranges, If-Range, ETag. */
export function answerWell(request: IncomingMessage, response: ServerResponse): void {
  answerSome(request, response, undefined);
}

/** The same, but breaks the connection after so many bytes of the body, if that is not undefined. */
export function answerSome(request: IncomingMessage, response: ServerResponse, cut: number | undefined): void {
  const condition = request.headers["if-range"];
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
  const start = asked === undefined || (condition !== undefined && condition !== ETAG) ? 0 : Number(asked);
  response.setHeader("etag", ETAG);
  if (start >= CONTENT.length) {
    response.writeHead(416, { "content-range": `bytes */${CONTENT.length}` }).end();
    return;
  }
  const body = CONTENT.subarray(start);
  response.setHeader("content-length", body.length);
  if (start > 0) response.writeHead(206, { "content-range": `bytes ${start}-${CONTENT.length - 1}/${CONTENT.length}` });
  if (cut === undefined) response.end(body);
  else sendAndBreak(response, body.subarray(0, cut));
}

/** Sends bytes and then breaks the connection. */
export function sendAndBreak(response: ServerResponse, bytes: Uint8Array): void {
  response.write(bytes, () => setTimeout(() => response.destroy(), 20));
}

/** A proxy for tunnels and for plain requests. */
export interface RunningProxy {
  readonly port: number;
  /** What was asked of it: `CONNECT host:port` or `GET http://…`, and the name and password that were given. */
  readonly asked: string[];
  close(): Promise<void>;
}

/** Starts a proxy. @param refuse status that it answers to everything. */
export async function serveProxy(refuse?: number): Promise<RunningProxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const note = ({ method, url, headers }: IncomingMessage): void => {
    asked.push([method, url, headers["proxy-authorization"]].filter(Boolean).join(" "));
  };
  const server = http.createServer((request, response) => {
    note(request);
    if (refuse !== undefined) response.writeHead(refuse).end();
    else
      http.get(request.url ?? "", (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 0, answer.headers)));
  });
  server.on("connect", (request: IncomingMessage, client: Socket) => {
    note(request);
    if (refuse !== undefined) {
      client.end(`HTTP/1.1 ${refuse} No\r\n\r\n`);
      return;
    }
    const [host, port] = (request.url ?? "").split(":");
    const target = net.connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      client.pipe(target).pipe(client);
    });
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
    }
  });
  const port = await listen(server);
  return {
    port,
    asked,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function listen(server: http.Server | https.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: AddressInfo | string | null = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Runs with a folder that is removed afterwards. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "verydeep-pull-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
