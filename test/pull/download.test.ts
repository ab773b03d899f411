/** Pulls from servers that misbehave: the bytes are right in the end, or the error says what was wrong. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import path from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError, WeightsError } from "#src/core/errors.js";
import { PartFile } from "#src/pull/part-file.js";
import type { PullOptions } from "#src/pull/pull.js";
import { type PullWorld, pullEntry } from "#src/pull/pull-entry.js";
import { fails } from "../io/fails.js";
import {
  answerSome,
  answerWell,
  CONTENT,
  ETAG,
  entryOf,
  type Script,
  sendAndBreak,
  serve,
  withFolder,
} from "./server.js";

for (const name of ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]) {
  delete process.env[name];
}

const QUICK: PullWorld = { waitMs: 1, stallMs: 10_000 };
const HALF = CONTENT.length >> 1;

interface Scene {
  /** Requests so far, as their Range and If-Range headers. */
  ranges(): (string | undefined)[][];
  /** The file's place, and that of its part. */
  readonly file: string;
  readonly part: string;
  readonly notes: string[];
  pull(options?: PullOptions, world?: PullWorld): Promise<string>;
}

/** Plays a scene with a server, in a folder of its own. @param exact whether the file's size is known exactly. */
async function scene(script: Script, play: (scene: Scene) => Promise<void>, exact = false): Promise<void> {
  await withFolder(async (folder) => {
    const server = await serve(script);
    const file = path.join(folder, "tiny.pth");
    const notes: string[] = [];
    const entry = entryOf(server.base, exact);
    try {
      await play({
        ranges: () => server.requests.map(({ headers }) => [headers.range, headers["if-range"] as string | undefined]),
        file,
        part: `${file}.part`,
        notes,
        pull: (options, world) =>
          pullEntry(entry, { dir: folder, onNote: (note) => notes.push(note), ...options }, { ...QUICK, ...world }),
      });
    } finally {
      await server.close();
    }
  });
}

/** The file is there, right, and nothing else but its note. */
function assertWhole({ file }: Scene, pulled: string): void {
  assert.is(pulled, file);
  assert.ok(readFileSync(file).equals(CONTENT), "other bytes");
  assert.equal(readdirSync(path.dirname(file)).sort(), ["tiny.pth", "tiny.pth.json"]);
}

const wholeInPieces: Script = (request, response, count) =>
  answerSome(request, response, count < 3 ? 10_000 : undefined);

test("a good server: one request; the second pull makes none", async () => {
  await scene(answerWell, async (it) => {
    const seen: number[] = [];
    assertWhole(it, await it.pull({ onProgress: ({ doneBytes }) => seen.push(doneBytes) }));
    assert.is(await it.pull(), it.file);
    assert.equal(it.ranges(), [[undefined, undefined]]);
    assert.equal(it.notes, []);
    assert.is(seen[0], 0);
  });
});

test("connections that break: goes on where each broke, on condition of the ETag", async () => {
  await scene(wholeInPieces, async (it) => {
    assertWhole(it, await it.pull());
    assert.equal(it.ranges(), [
      [undefined, undefined],
      ["bytes=10000-", ETAG],
      ["bytes=20000-", ETAG],
      ["bytes=30000-", ETAG],
    ]);
    assert.is(it.notes.length, 3);
    assert.match(it.notes[0], /^the connection failed: ECONNRESET \(http:.*tiny\.pth\): trying again$/);
  });
});

test("the file changed between two pieces: begins anew", async () => {
  let version = 0;
  const script: Script = (request, response, count) => {
    if (count > 0) return answerWell(request, response);
    version++;
    response.writeHead(200, { etag: '"version-0"', "content-length": CONTENT.length });
    sendAndBreak(response, Buffer.alloc(9000));
  };
  await scene(script, async (it) => {
    assertWhole(it, await it.pull());
    assert.equal(it.ranges()[1], ["bytes=9000-", '"version-0"']);
    assert.is(version, 1);
  });
});

test("a weak ETag is no condition, Last-Modified is", async () => {
  const date = "Wed, 21 Oct 2015 07:28:00 GMT";
  const script: Script = (request, response, count) => {
    if (count > 0) return answerWell(request, response);
    response.writeHead(200, { etag: 'W/"x"', "last-modified": date, "content-length": CONTENT.length });
    sendAndBreak(response, CONTENT.subarray(0, 9000));
  };
  await scene(script, async (it) => {
    assertWhole(it, await it.pull());
    assert.equal(it.ranges()[1], ["bytes=9000-", date]);
  });
});

test("a server that knows no ranges: begins anew each time", async () => {
  const script: Script = (_, response, count) => {
    response.writeHead(200, { "content-length": CONTENT.length });
    if (count === 0) sendAndBreak(response, CONTENT.subarray(0, HALF));
    else response.end(CONTENT);
  };
  await scene(script, async (it) => assertWhole(it, await it.pull()));
});

for (const [name, range] of [
  ["another part than asked for", `bytes 0-99/${CONTENT.length}`],
  ["another file's length", "bytes 9000-9999/10000"],
  ["an end before its beginning", `bytes 9000-8999/${CONTENT.length}`],
  ["no Content-Range", undefined],
] as const) {
  test(`206 with ${name}: begins anew`, async () => {
    const script: Script = (request, response, count) => {
      if (count === 0) answerSome(request, response, 9000);
      else if (request.headers.range) response.writeHead(206, range ? { "content-range": range } : {}).end("lies");
      else answerWell(request, response);
    };
    await scene(script, async (it) => {
      assertWhole(it, await it.pull());
      assert.equal(
        it.ranges().map(([asked]) => asked),
        [undefined, "bytes=9000-", undefined],
      );
    });
  });
}

test("206 to a request for the whole file: error after six times", async () => {
  const script: Script = (_, response) => response.writeHead(206, { "content-range": "bytes 5-9/10" }).end("lies!");
  await scene(script, async (it) => {
    await fails(it.pull(), WeightsError, "pull: the server sends a part that nobody asked for (http://127.0.0.1:");
    assert.is(it.ranges().length, 6);
  });
});

test("206 with the rest of another version (no condition was possible): wrong hash, then once more from the beginning", async () => {
  const script: Script = (request, response, count) => {
    if (count !== 1) return answerSome(request, response, count === 0 ? 9000 : undefined);
    const rest = Buffer.alloc(CONTENT.length - 9000);
    response.writeHead(206, { "content-range": `bytes 9000-${CONTENT.length - 1}/${CONTENT.length}`, etag: ETAG });
    response.end(rest);
  };
  await scene(script, async (it) => {
    assertWhole(it, await it.pull());
    assert.match(it.notes[1], /^the file is not the one that is published .* published [0-9a-f]{8}\): trying again$/);
  });
});

test("416: what there is was no part of the file", async () => {
  await scene(answerWell, async (it) => {
    // Longer than the server's file, within what is published.
    writeFileSync(it.part, Buffer.alloc(CONTENT.length + 100));
    assertWhole(it, await it.pull());
    assert.equal(
      it.ranges().map(([range]) => range),
      [`bytes=${CONTENT.length + 100}-`, undefined],
    );
  });
});

test("416: what there is was all of it", async () => {
  await scene(answerWell, async (it) => {
    writeFileSync(it.part, CONTENT);
    assertWhole(it, await it.pull());
    assert.is(it.ranges().length, 1);
  });
});

test("a part that is whole and of exactly the published size: no request", async () => {
  await scene(
    answerWell,
    async (it) => {
      writeFileSync(it.part, CONTENT);
      assertWhole(it, await it.pull());
      assert.equal(it.ranges(), []);
    },
    true,
  );
});

test("a part that is longer than the file: begins anew", async () => {
  await scene(answerWell, async (it) => {
    writeFileSync(it.part, Buffer.alloc(CONTENT.length + 1000));
    assertWhole(it, await it.pull());
    assert.equal(it.ranges(), [[undefined, undefined]]);
  });
});

test("a part of another server: goes on without its ETag", async () => {
  await scene(answerWell, async (it) => {
    writeFileSync(it.part, CONTENT.subarray(0, 5000));
    writeFileSync(
      `${it.part}.json`,
      JSON.stringify({ url: "http://elsewhere/x", etag: '"other"', lastModified: null }),
    );
    assertWhole(it, await it.pull());
    assert.equal(it.ranges(), [["bytes=5000-", undefined]]);
  });
});

test("a damaged note beside the part: goes on without it", async () => {
  await scene(answerWell, async (it) => {
    writeFileSync(it.part, CONTENT.subarray(0, 5000));
    writeFileSync(`${it.part}.json`, '{"url": 1, "etag": [');
    assertWhole(it, await it.pull());
  });
});

test("Content-Length of another file: error, tells both lengths", async () => {
  const script: Script = (_, response) => response.end("<html>Please log in</html>");
  await scene(script, async (it) => {
    await fails(
      it.pull(),
      WeightsError,
      "pull: the server has another file (26 bytes, published 66900 to 67500) (http",
    );
    assert.not(existsSync(it.file));
  });
});

test("Content-Length longer than the body: goes on after what came", async () => {
  const script: Script = (request, response, count) => {
    if (count > 0) return answerWell(request, response);
    response.writeHead(200, { etag: ETAG, "content-length": CONTENT.length + 200 });
    sendAndBreak(response, CONTENT.subarray(0, HALF));
  };
  await scene(script, async (it) => assertWhole(it, await it.pull()));
});

/** Without Content-Length, in chunks. */
function chunked(response: ServerResponse, bytes: Uint8Array): void {
  response.writeHead(200, { etag: ETAG });
  response.write(bytes.subarray(0, 1000));
  response.end(bytes.subarray(1000));
}

test("too few bytes, without a length: goes on after them", async () => {
  const script: Script = (request, response, count) =>
    count === 0 ? chunked(response, CONTENT.subarray(0, HALF)) : answerWell(request, response);
  await scene(script, async (it) => {
    assertWhole(it, await it.pull());
    assert.match(it.notes[0], "the server sends too few bytes (33600, published 66900)");
  });
});

test("too few bytes always: error", async () => {
  const script: Script = (_, response) => chunked(response, CONTENT.subarray(0, HALF));
  await scene(script, async (it) => {
    await fails(it.pull(), WeightsError, "pull: the server sends too few bytes (33600, published 66900) (http");
  });
});

test("too many bytes always: error; nothing of them is kept", async () => {
  const script: Script = (_, response) => chunked(response, Buffer.concat([CONTENT, CONTENT]));
  await scene(script, async (it) => {
    await fails(it.pull(), WeightsError, "pull: the server sends too many bytes (more than 67500) (http");
    assert.equal(readdirSync(path.dirname(it.part)), []);
    assert.not(existsSync(it.file));
  });
});

test("the wrong file, of the right length, in one go: error after one request", async () => {
  const script: Script = (_, response) => response.end(Buffer.alloc(CONTENT.length));
  await scene(script, async (it) => {
    await fails(it.pull(), WeightsError, `pull: the file is not the one that is published (http`);
    await fails(it.pull(), WeightsError, `${CONTENT.length} bytes, SHA-256 `);
    assert.is(it.ranges().length, 2);
    assert.not(existsSync(it.file));
  });
});

for (const [encoding, pack] of [
  ["gzip", gzipSync],
  ["br", brotliCompressSync],
] as const) {
  test(`content-encoding ${encoding}, though identity was asked for: unpacked; broken off, begun anew`, async () => {
    const packed = pack(CONTENT);
    const script: Script = (request, response, count) => {
      assert.is(request.headers["accept-encoding"], "identity");
      response.writeHead(200, { "content-encoding": encoding, "content-length": packed.length });
      if (count === 0) sendAndBreak(response, packed.subarray(0, packed.length >> 1));
      else response.end(packed);
    };
    await scene(script, async (it) => {
      assertWhole(it, await it.pull());
      assert.is(it.ranges().length, 2);
    });
  });
}

test("gzip of very many bytes: stopped", async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  const script: Script = (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
  await scene(script, async (it) => {
    await fails(it.pull(), WeightsError, "pull: the server sends too many bytes (more than 67500) (http");
    assert.equal(readdirSync(path.dirname(it.part)), []);
  });
});

test("an unknown content-encoding: error", async () => {
  const script: Script = (_, response) => response.writeHead(200, { "content-encoding": "x" }).end(CONTENT);
  await scene(script, async (it) => {
    await fails(it.pull(), WeightsError, "pull: the server packs the file (content-encoding x) (http");
  });
});

test("a server that is silent, before its answer and within it: goes on elsewhere", async () => {
  const script: Script = (request, response, count) => {
    if (count === 0) return;
    if (count > 1) return answerWell(request, response);
    response.writeHead(200, { etag: ETAG, "content-length": CONTENT.length });
    response.write(CONTENT.subarray(0, HALF));
  };
  await scene(script, async (it) => {
    assertWhole(it, await it.pull({}, { stallMs: 150 }));
    assert.match(it.notes[0], /^the server is silent \(for 0\.15 s\) \(http/);
    assert.equal(it.ranges()[2], [`bytes=${HALF}-`, ETAG]);
  });
});

test("a server that is silent always: error", async () => {
  await scene(
    () => undefined,
    async (it) => {
      await fails(it.pull({}, { stallMs: 30 }), WeightsError, "pull: the server is silent (for 0.03 s) (http");
      assert.is(it.ranges().length, 6);
    },
  );
});

test("a few bytes a time for ever: given up", async () => {
  const script: Script = (request, response) => answerSome(request, response, 100);
  await scene(script, async (it) => {
    await fails(it.pull(), WeightsError, "6 times in a row. Try again later; what has come is kept.");
    assert.ok(it.ranges().length < 100);
    assert.ok(statSync(it.part).size >= 600);
  });
});

test("a full disk, seen before: error with both sizes", async () => {
  await scene(answerWell, async (it) => {
    const pulling = it.pull({}, { freeBytes: async () => 1000 });
    await fails(pulling, WeightsError, "pull: the disk is full (folder ");
    await fails(
      it.pull({}, { freeBytes: async () => 0 }),
      WeightsError,
      ", 1 MB to come, 0 MB free). Make room, or choose",
    );
    assert.equal(it.ranges(), []);
  });
});

test("a disk that becomes full: error; what has come is kept", async () => {
  await scene(answerWell, async (it) => {
    const openPart: typeof PartFile.open = async (...args) => {
      const part = await PartFile.open(...args);
      const append = part.append.bind(part);
      part.append = async (chunk) => {
        await append(chunk.subarray(0, 1000));
        throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      };
      return part;
    };
    await fails(it.pull({}, { openPart }), WeightsError, `pull: the disk is full (path ${it.file}).`);
    assert.is(statSync(it.part).size, 1000);
    assert.not(existsSync(`${it.file}.lock`));
    assertWhole(it, await it.pull());
    assert.equal(it.ranges()[1], ["bytes=1000-", ETAG]);
  });
});

for (const [status, text] of [
  [404, "pull: the server answers 404 (http"],
  [404, "The file is not there: name a mirror that has it, with --mirror or VERYDEEP_MIRROR."],
  [403, "It does not hand the file out: name another mirror"],
  [407, "Put name and password into HTTPS_PROXY"],
] as const) {
  test(`${status}: error at once: ${text}`, async () => {
    await scene(
      (_, response) => response.writeHead(status).end("no"),
      async (it) => {
        await fails(it.pull(), WeightsError, text);
        assert.is(it.ranges().length, 1);
      },
    );
  });
}

test("429, 503, 204: tried again, not before Retry-After", async () => {
  const script: Script = (request, response, count) => {
    if (count === 0) response.writeHead(429, { "retry-after": "1" }).end();
    else if (count < 3) response.writeHead([503, 204][count - 1]).end();
    else answerWell(request, response);
  };
  await scene(script, async (it) => {
    const began = performance.now();
    assertWhole(it, await it.pull());
    assert.ok(performance.now() - began >= 990);
  });
});

test("503 always: error", async () => {
  await scene(
    (_, response) => response.writeHead(503).end(),
    async (it) => fails(it.pull(), WeightsError, "pull: the server answers 503 (http"),
  );
});

test("nobody listens: error", async () => {
  await withFolder(async (folder) => {
    const server = await serve(answerWell);
    await server.close();
    await fails(
      pullEntry(entryOf(server.base), { dir: folder }, QUICK),
      WeightsError,
      "pull: the connection failed: ECONNREFUSED (http://127.0.0.1:",
    );
  });
});

test("redirects are followed, with the range", async () => {
  const script: Script = (request, response, count) => {
    if (request.url === "/tiny.pth") response.writeHead([301, 302, 307][count % 3], { location: "/there?x=1" }).end();
    else answerSome(request, response, count < 2 ? HALF : undefined);
  };
  await scene(script, async (it) => {
    assertWhole(it, await it.pull());
    assert.equal(it.ranges().at(-1), [`bytes=${HALF}-`, ETAG]);
  });
});

for (const [name, location, text] of [
  ["in a circle", "/tiny.pth", "pull: the server redirects too often (http://127.0.0.1:"],
  ["to no address", "http://", "pull: the server redirects to nowhere (http"],
  ["to another protocol", "file:///etc/passwd", '/tiny.pth, location "file:///etc/passwd"). Name another mirror'],
] as const) {
  test(`a redirect ${name}: error`, async () => {
    await scene(
      (_, response) => response.writeHead(302, { location }).end(),
      async (it) => fails(it.pull(), WeightsError, text),
    );
  });
}

test("a wrong file of this name stays until the right one is there", async () => {
  let isDown = true;
  const script: Script = (request, response) => {
    if (isDown) response.writeHead(404).end();
    else answerWell(request, response);
  };
  await scene(script, async (it) => {
    writeFileSync(it.file, "old");
    await fails(it.pull(), WeightsError, "pull: the server answers 404");
    assert.is(readFileSync(it.file, "utf8"), "old");
    isDown = false;
    assertWhole(it, await it.pull());
  });
});

test("a file that was copied there: read once, then noted; changed afterwards: read again", async () => {
  await scene(answerWell, async (it) => {
    writeFileSync(it.file, CONTENT);
    assert.is(await it.pull(), it.file);
    assert.ok(existsSync(`${it.file}.json`));
    assert.equal(it.ranges(), []);
    writeFileSync(it.file, Buffer.alloc(CONTENT.length));
    utimesSync(it.file, 1, 1);
    assertWhole(it, await it.pull());
    assert.is(it.ranges().length, 1);
  });
});

test("a signal stops it with its reason; the next pull goes on", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const script: Script = (request, response, count) => {
    if (count > 0) return answerWell(request, response);
    response.writeHead(200, { etag: ETAG, "content-length": CONTENT.length });
    response.write(CONTENT.subarray(0, HALF), () => setTimeout(() => controller.abort(reason), 50));
  };
  await scene(script, async (it) => {
    const stopped = await it.pull({ signal: controller.signal }).catch((error: unknown) => error);
    assert.is(stopped, reason);
    assert.not(existsSync(`${it.file}.lock`));
    const have = statSync(it.part).size;
    assert.ok(have > 0);
    assertWhole(it, await it.pull());
    assert.equal(it.ranges()[1], [`bytes=${have}-`, ETAG]);
  });
});

test("a signal that was aborted before: nothing happens", async () => {
  await scene(answerWell, async (it) => {
    const stopped = await it.pull({ signal: AbortSignal.abort("no") }).catch((error: unknown) => error);
    assert.is(stopped, "no");
    assert.equal(it.ranges(), []);
  });
});

test("a folder where the part should be, a file where the folder should be: errors", async () => {
  await scene(answerWell, async (it) => {
    await fails(it.pull({ dir: "" }), UsageError, 'pull: the folder has no name (dir ""). Name one, or leave it out.');
    mkdirSync(it.part);
    const failed = await it.pull().catch((error: unknown) => error);
    assert.instance(failed, Error);
    writeFileSync(it.file, "");
    await fails(it.pull({ dir: path.join(it.file, "x") }), UsageError, "pull: a part of the path is not a folder");
    await fails(
      it.pull({ dir: it.file }),
      UsageError,
      `pull: a file is where the folder should be (path ${it.file}). Name a folder.`,
    );
    assert.not(existsSync(`${it.file}.lock`));
  });
});

test.run();
