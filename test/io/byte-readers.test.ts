import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DamagedFileError, WeightsError } from "#src/core/errors.js";
import { openWeights } from "#src/formats/open-weights.js";
import { bytesReader, siblingName } from "#src/io/byte-reader.js";
import { openFileBytes } from "#src/io/file-bytes.js";
import { openUrlBytes } from "#src/io/url-bytes.js";
import { torchFile } from "../helpers/torch-writer.js";
import { fails, has } from "./fails.js";

const folder = mkdtempSync(path.join(tmpdir(), "verydeep-bytes-"));
/** 9 MiB and a bit: a file is read in three parts, an address in 37 blocks. */
const bytes = Uint8Array.from({ length: 9 * 2 ** 20 + 77 }, (_, i) => (i * 2654435761) >>> 11);
const file = path.join(folder, "a.bin");
writeFileSync(file, bytes);
mkdirSync(path.join(folder, "sub"));
writeFileSync(path.join(folder, "sub", "b c%2e.bin"), bytes.subarray(0, 5));

/** One server; each test says how it misbehaves. */
let answer: (request: IncomingMessage, response: ServerResponse) => void = () => {};
let requests: string[] = [];
const server = createServer((request, response) => {
  requests.push(`${request.method} ${request.url} ${request.headers.range ?? "all"}`);
  answer(request, response);
});
let origin = "";

test.before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.before.each(() => {
  requests = [];
});
test.after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A server as it should be, but for what is changed. */
function serve(content: Uint8Array, change: (headers: Record<string, string>) => void = () => {}) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const begin = Number(first ?? 0);
    const end = Math.min(Number(last ?? content.length - 1) + 1, content.length);
    if (first !== undefined && begin >= content.length) {
      response.writeHead(416, { "Content-Range": `bytes */${content.length}` }).end();
      return;
    }
    const headers: Record<string, string> = { "Content-Length": String(end - begin), ETag: '"1"' };
    if (first !== undefined) headers["Content-Range"] = `bytes ${begin}-${end - 1}/${content.length}`;
    change(headers);
    response.writeHead(first === undefined ? 200 : 206, headers);
    response.end(request.method === "HEAD" ? undefined : content.subarray(begin, end));
  };
}

test("file, address and bytes: the same ranges, in plain and shared memory", async () => {
  answer = serve(bytes);
  for (const reader of [
    await openFileBytes(file),
    await openUrlBytes(`${origin}/a.bin?key=secret`),
    bytesReader(bytes),
  ]) {
    assert.is(reader.sizeBytes, bytes.length);
    assert.ok(!reader.name.includes("secret"));
    for (const [begin, size] of [
      [0, 10],
      [2 ** 18 - 3, 7],
      [2 ** 18 - 3, 2 ** 18],
      [5, 8_500_000],
      [bytes.length - 4, 4],
      [bytes.length, 0],
      [0, bytes.length],
    ]) {
      assert.ok(
        Buffer.from(await reader.read(begin, size)).equals(bytes.subarray(begin, begin + size)),
        `${begin} ${size}`,
      );
      const shared = new Uint8Array(new SharedArrayBuffer(size + 2), 1, size);
      await reader.readInto(begin, shared);
      assert.ok(Buffer.from(shared).equals(bytes.subarray(begin, begin + size)));
    }
    for (const [begin, size] of [
      [bytes.length - 4, 5],
      [-1, 2],
      [0.5, 1],
      [0, 2 ** 60],
      [Number.NaN, 1],
    ]) {
      await fails(reader.read(begin, size), DamagedFileError, "ends before its data do (byte ");
    }
    await reader.close();
    await reader.close();
  }
});

test("walking a header of an address costs a request a block", async () => {
  answer = serve(bytes);
  const reader = await openUrlBytes(`${origin}/a.bin`);
  for (let i = 0; i < 2 ** 19; i += 1024) assert.is((await reader.read(i, 30))[0], bytes[i]);
  assert.equal(requests, ["GET /a.bin bytes=0-262143", "GET /a.bin bytes=262144-524287"]);
  await Promise.all([reader.read(600_000, 4), reader.read(600_100, 4)]);
  assert.is(requests.length, 3);
});

test("siblings: beside the file, below it, and nowhere else", async () => {
  answer = (request, response) =>
    serve(request.url === "/x/sub/b%20c%252e.bin" ? bytes.subarray(0, 5) : bytes)(request, response);
  for (const reader of [await openFileBytes(file), await openUrlBytes(`${origin}/x/a.bin?y`)]) {
    const other = await reader.sibling("./sub/b c%2e.bin");
    assert.equal([...(await other.read(1, 4))], [...bytes.subarray(1, 5)]);
    await other.close();
    for (const name of [
      "../a",
      "sub/../../a",
      "/etc/passwd",
      "C:\\a",
      "c:a",
      "a\\b",
      "a\0",
      "",
      ".",
      "..",
      "a/",
      ".. /a",
      "http://x/y",
    ]) {
      await fails(
        reader.sibling(name),
        WeightsError,
        `names a file outside of its folder (name ${JSON.stringify(name)})`,
      );
    }
    await reader.close();
  }
  assert.equal(siblingName("a/./b..c", "x"), ["a", "b..c"]);
  const reader = await openFileBytes(file);
  await fails(reader.sibling("no"), WeightsError, "load: the file does not exist (path ");
  await reader.close();
});

test("file: missing, a folder, below a file, shorter while it is read", async () => {
  await fails(
    openFileBytes(path.join(folder, "no")),
    WeightsError,
    `load: the file does not exist (path ${path.join(folder, "no")}). Check the path.`,
  );
  await fails(openFileBytes(folder), WeightsError, "load: the path is no regular file (path ");
  await fails(openFileBytes(path.join(file, "x")), WeightsError, "load: the file does not exist");
  const short = path.join(folder, "short.bin");
  writeFileSync(short, bytes);
  const reader = await openFileBytes(short);
  truncateSync(short, 1000);
  await fails(reader.read(0, 2000), DamagedFileError, "became shorter while it was read (byte 1000 is gone).");
  await reader.close();
  await fails(reader.read(0, 10), WeightsError, "cannot be read (byte 0, ");
});

test("an address that is none, no server, statuses", async () => {
  await fails(
    openUrlBytes("weights.pth"),
    WeightsError,
    "load: this is no address (address weights.pth). Begin it with https:// and a host.",
  );
  await fails(openUrlBytes("http://127.0.0.1:9/a"), WeightsError, "load: http://127.0.0.1:9/a cannot be fetched (");
  await fails(openUrlBytes("nothing:a"), WeightsError, "load: nothing:a cannot be fetched (");
  for (const [status, text] of [
    [404, `load: there is no such file (address ${origin}/a, status 404). Check the address.`],
    [403, `load: the server refuses the file (address ${origin}/a, status 403).`],
    [418, `load: the server does not give the file (address ${origin}/a, status 418).`],
  ] as const) {
    answer = (_, response) => response.writeHead(status).end("x");
    await fails(openUrlBytes(`${origin}/a?token=1`), WeightsError, text);
  }
  assert.is(requests.length, 3);
  answer = (_, response) => response.writeHead(503).end();
  await fails(openUrlBytes(`${origin}/a`), WeightsError, `load: ${origin}/a cannot be fetched (status 503, 5 tries).`);
});

test("data: is read whole; an empty file is one", async () => {
  const reader = await openUrlBytes("data:application/octet-stream;base64,AQIDBA==");
  assert.equal([...(await reader.read(1, 2))], [2, 3]);
  answer = serve(new Uint8Array(0));
  assert.is((await openUrlBytes(`${origin}/empty`)).sizeBytes, 0);
});

test("a server without ranges is asked once, within a bound", async () => {
  answer = (_, response) => response.writeHead(200, { "Content-Length": bytes.length }).end(bytes);
  const reader = await openUrlBytes(`${origin}/a`);
  assert.ok(Buffer.from(await reader.read(0, bytes.length)).equals(bytes));
  assert.is(requests.length, 1);
  await fails(
    openUrlBytes(`${origin}/a`, { maxWholeBytes: 1000 }),
    WeightsError,
    "too large to be taken whole (address",
  );
  answer = (_, response) => response.writeHead(200).end(bytes);
  await fails(
    openUrlBytes(`${origin}/a`, { maxWholeBytes: 1000 }),
    WeightsError,
    "too large to be taken whole (address",
  );
});

test("a body packed with gzip is unpacked, whole, whatever the status", async () => {
  const packed = gzipSync(bytes);
  answer = (request, response) =>
    response
      .writeHead(request.headers.range ? 206 : 200, {
        "Content-Encoding": "gzip",
        "Content-Length": packed.length,
        ...(request.headers.range && { "Content-Range": `bytes 0-${packed.length - 1}/${packed.length}` }),
      })
      .end(packed);
  const reader = await openUrlBytes(`${origin}/a`);
  assert.ok(Buffer.from(await reader.read(0, bytes.length)).equals(bytes));
});

test("a connection that drops is taken up where it broke", async () => {
  let drops = 0;
  answer = (request, response) => {
    const [, begin, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const end = Math.min(Number(last) + 1, bytes.length);
    response.writeHead(206, {
      "Content-Length": end - Number(begin),
      "Content-Range": `bytes ${begin}-${end - 1}/${bytes.length}`,
    });
    if (++drops % 3 === 0) response.end(bytes.subarray(Number(begin), end));
    else
      response.write(bytes.subarray(Number(begin), Math.min(end, Number(begin) + 100_000)), () => response.destroy());
  };
  const reader = await openUrlBytes(`${origin}/a`);
  requests = [];
  assert.ok(Buffer.from(await reader.read(10, 1_000_000)).equals(bytes.subarray(10, 1_000_010)));
  assert.is(requests.length, 3);
  assert.is(requests[1], "GET /a bytes=100010-1000009");
});

test("wrong ranges, and a file that changes", async () => {
  const refused = async (change: Parameters<typeof serve>[1], text: string): Promise<void> => {
    answer = serve(bytes);
    const reader = await openUrlBytes(`${origin}/a`);
    answer = serve(bytes, change);
    await fails(reader.read(500_000, 300_000), WeightsError, text);
  };
  await refused((headers) => {
    headers["Content-Range"] = `bytes 0-299999/${bytes.length}`;
  }, `came in other parts than asked for (500000-799999, got bytes 0-299999/${bytes.length})`);
  await refused((headers) => {
    headers["Content-Range"] = "bytes 500000-799999/800000";
  }, "changed while it was read (byte 500000)");
  await refused((headers) => {
    headers.ETag = '"2"';
  }, "changed while it was read (byte 500000)");
  answer = serve(bytes);
  const reader = await openUrlBytes(`${origin}/a`);
  answer = (_, response) => response.writeHead(200).end(bytes);
  await fails(
    reader.read(500_000, 300_000),
    WeightsError,
    "came in other parts than asked for (500000-799999, got status 200)",
  );
});

test("a server that gives less than asked for is asked again", async () => {
  answer = (request, response) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const begin = Number(first);
    const end = Math.min(Number(last) + 1, begin + 50_000);
    response
      .writeHead(206, { "Content-Range": `bytes ${begin}-${end - 1}/${bytes.length}` })
      .end(bytes.subarray(begin, end));
  };
  const reader = await openUrlBytes(`${origin}/a`);
  assert.ok(Buffer.from(await reader.read(1, 120_000)).equals(bytes.subarray(1, 120_001)));
});

test("a range that is not shown (other origins, in browsers): the size comes from HEAD", async () => {
  answer = serve(bytes, (headers) => {
    delete headers["Content-Range"];
  });
  const reader = await openUrlBytes(`${origin}/a`);
  assert.is(reader.sizeBytes, bytes.length);
  assert.ok(Buffer.from(await reader.read(300_000, 400_000)).equals(bytes.subarray(300_000, 700_000)));
});

test("a server that stops in the middle is given up, and closing ends what is under way", async () => {
  answer = (_, response) => {
    response.writeHead(206, { "Content-Length": 262144, "Content-Range": `bytes 0-262143/${bytes.length}` });
    response.write(bytes.subarray(0, 1000));
  };
  await fails(
    openUrlBytes(`${origin}/a`, { stallMs: 30 }),
    WeightsError,
    "cannot be fetched (nothing came for 30 ms, 5 tries)",
  );
  answer = serve(bytes);
  const reader = await openUrlBytes(`${origin}/a`);
  answer = () => {};
  const under = fails(reader.read(300_000, 10), WeightsError, "was closed while it was read");
  await reader.close();
  await under;
});

test("a PyTorch file at an address: opening reads its end and its beginning, a tensor its own bytes", async () => {
  // 6 MB in two tensors.
  const values = Float32Array.from({ length: 750_000 }, (_, i) => i / 7);
  const tensors = ["a", "b"].map((name) => ({ name, shape: [3, 250_000], chunks: () => [values] }));
  answer = serve(Buffer.concat([...torchFile(tensors)]));
  const file = await openWeights(await openUrlBytes(`${origin}/net.pth`));
  assert.equal([...file.tensors.keys()], ["a", "b"]);
  const count = (): number => requests.filter((request) => request.includes("net.pth")).length;
  assert.is(count(), 2);
  const floats = new Float32Array(values.length);
  await file.readFloats("b", 0, floats);
  assert.ok(Buffer.from(floats.buffer).equals(Buffer.from(values.buffer)));
  // Where b begins, and b.
  assert.is(count(), 4);
  await file.close();
});

test("a data: address has nothing beside it", async () => {
  const reader = await openUrlBytes("data:application/json,{}");
  await fails(reader.sibling("a.bin"), WeightsError, 'load: nothing lies beside the data: address (file "a.bin").');
});

test("a pipe that nobody writes to is no file, and not waited for", async () => {
  if (process.platform === "win32") return;
  const pipe = path.join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  await fails(openFileBytes(pipe), WeightsError, "load: the path is no regular file (path ");
});

test("bytesReader: siblings by name", async () => {
  const reader = bytesReader(bytes, "a", new Map([["b", bytes.subarray(0, 3)]]));
  assert.is((await reader.sibling("b")).sizeBytes, 3);
  await fails(reader.sibling("c"), WeightsError, 'load: a file beside a is missing (file "c").');
  assert.throws(
    () => siblingName("../x", "a"),
    (error: unknown) => has(error, WeightsError, "outside of its folder"),
  );
});

test.run();
