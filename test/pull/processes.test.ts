/** Several pulls of one file at once, and pulls that are killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { WeightsError } from "#src/core/errors.js";
import { isAbandoned, withLock } from "#src/pull/lock.js";
import { pullEntry } from "#src/pull/pull-entry.js";
import { fails } from "../io/fails.js";
import { answerWell, CONTENT, ETAG, entryOf, type Running, type Script, serve, withFolder } from "./server.js";

const child = fileURLToPath(new URL("./pull-child.ts", import.meta.url));
const HALF = CONTENT.length >> 1;

interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a process that pulls. */
function start(...args: string[]): { process: ChildProcess; result: Promise<Result> } {
  const process_ = spawn(process.execPath, ["--import", "tsx", child, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  process_.stdout.on("data", (data: Buffer) => {
    stdout += data.toString();
  });
  process_.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
  });
  const result = once(process_, "close").then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return { process: process_, result };
}

/** Runs with a server and a folder. */
async function withServer(script: Script, use: (server: Running, folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const server = await serve(script);
    try {
      await use(server, folder);
    } finally {
      await server.close();
    }
  });
}

/** Waits until something is so. */
async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what(); tries++) {
    if (tries > 1000) throw new Error("it never came about");
    await delay(20);
  }
}

/** Sends one half, and the other one only after `ms`. */
function answerSlowly(ms: number): Script {
  return (request, response, count) => {
    if (count > 0) return answerWell(request, response);
    response.writeHead(200, { etag: ETAG, "content-length": CONTENT.length });
    response.write(CONTENT.subarray(0, HALF));
    setTimeout(() => response.end(CONTENT.subarray(HALF)), ms).unref();
  };
}

function assertWhole(folder: string): void {
  assert.ok(readFileSync(path.join(folder, "tiny.pth")).equals(CONTENT), "other bytes");
  assert.equal(readdirSync(folder).sort(), ["tiny.pth", "tiny.pth.json"]);
}

test("two processes at once: one pulls, the other waits; one request, the right bytes", async () => {
  await withServer(answerSlowly(2000), async (server, folder) => {
    const both = [start(server.base, folder), start(server.base, folder)];
    const results = await Promise.all(both.map(({ result }) => result));
    assert.equal(
      results.map(({ code }) => code),
      [0, 0],
    );
    assert.is(server.requests.length, 1);
    assertWhole(folder);
    assert.is(results.map(({ stderr }) => stderr).join(""), "another process is pulling tiny.pth: waiting for it\n");
  });
});

test("three pulls in one process at once", async () => {
  await withServer(answerSlowly(50), async (server, folder) => {
    const pull = () => pullEntry(entryOf(server.base), { dir: folder });
    assert.equal(await Promise.all([pull(), pull(), pull()]), Array(3).fill(path.join(folder, "tiny.pth")));
    assert.is(server.requests.length, 1);
    assertWhole(folder);
  });
});

if (process.platform === "win32") console.log("SKIPPED pull and signals: Windows has none between processes");
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  const signalTest = process.platform === "win32" ? test.skip : test;
  signalTest(`${signal}: exit code ${code}, the part remains, the next pull goes on`, async () => {
    await withServer(answerSlowly(600_000), async (server, folder) => {
      const part = path.join(folder, "tiny.pth.part");
      const pulling = start(server.base, folder, ...(signal === "SIGTERM" ? ["--json"] : []));
      await until(() => existsSync(part) && statSync(part).size === HALF);
      pulling.process.kill(signal);
      const { code: got, stdout, stderr } = await pulling.result;
      assert.is(got, code);
      if (signal === "SIGINT") {
        assert.equal([stdout, stderr], ["", "Stopping. What has come is kept: the next pull goes on from there.\n"]);
      } else assert.equal([stdout.split("\n").at(-2), stderr], ['{"interrupted":true}', ""]);
      assert.equal(readdirSync(folder).sort(), ["tiny.pth.part", "tiny.pth.part.json"]);
      await pullEntry(entryOf(server.base), { dir: folder });
      assert.is(server.requests[1].headers.range, `bytes=${HALF}-`);
      assertWhole(folder);
    });
  });
}

test("killed: its lock is taken away at once, and its part goes on", async () => {
  await withServer(answerSlowly(600_000), async (server, folder) => {
    const part = path.join(folder, "tiny.pth.part");
    const pulling = start(server.base, folder);
    await until(() => existsSync(part) && statSync(part).size === HALF);
    pulling.process.kill("SIGKILL");
    await pulling.result;
    assert.ok(existsSync(path.join(folder, "tiny.pth.lock")));
    const began = performance.now();
    await pullEntry(entryOf(server.base), { dir: folder });
    assert.ok(performance.now() - began < 20_000);
    assert.is(server.requests[1].headers.range, `bytes=${HALF}-`);
    assertWhole(folder);
  });
});

test("a lock that nobody has touched for long, or with nothing in it, is taken away", async () => {
  for (const text of [JSON.stringify({ token: "x", pid: 1, host: "elsewhere" }), "", '{"token":']) {
    await withServer(
      (request, response) => answerWell(request, response),
      async (server, folder) => {
        const lock = path.join(folder, "tiny.pth.lock");
        writeFileSync(lock, text);
        const past = new Date(Date.now() - 3_600_000);
        utimesSync(lock, past, past);
        await pullEntry(entryOf(server.base), { dir: folder });
        assertWhole(folder);
      },
    );
  }
});

test("a lock that is held elsewhere is waited for, until the signal", async () => {
  await withServer(
    (request, response) => answerWell(request, response),
    async (server, folder) => {
      writeFileSync(path.join(folder, "tiny.pth.lock"), JSON.stringify({ token: "x", pid: 1, host: "elsewhere" }));
      const reason = new Error("enough");
      const controller = new AbortController();
      const onNote = () => setTimeout(() => controller.abort(reason), 300);
      const pulling = pullEntry(entryOf(server.base), { dir: folder, onNote, signal: controller.signal });
      assert.is(await pulling.catch((error: unknown) => error), reason);
      assert.equal(readdirSync(folder), ["tiny.pth.lock"]);
      assert.equal(server.requests, []);
    },
  );
});

test("whoever lost its lock puts nothing in place", async () => {
  await withFolder(async (folder) => {
    const lock = path.join(folder, "tiny.pth.lock");
    const script: Script = (request, response) => {
      writeFileSync(lock, JSON.stringify({ token: "another", pid: process.pid, host: hostname() }));
      answerWell(request, response);
    };
    const server = await serve(script);
    try {
      const pulling = pullEntry(entryOf(server.base), { dir: folder });
      await fails(pulling, WeightsError, `pull: another process took over (lock ${lock}). Wait until it is done`);
      // The other's lock stays.
      assert.equal(readdirSync(folder).sort(), ["tiny.pth.lock", "tiny.pth.part", "tiny.pth.part.json"]);
    } finally {
      await server.close();
    }
  });
});

test("isAbandoned: dead here, or not touched for more than a minute", () => {
  const holder = { token: "x", pid: 7, host: "here" };
  const [alive, dead] = [() => true, () => false];
  assert.not(isAbandoned(holder, 59_000, "here", alive));
  assert.ok(isAbandoned(holder, 61_000, "here", alive));
  assert.ok(isAbandoned(holder, 0, "here", dead));
  assert.not(isAbandoned(holder, 0, "elsewhere", dead));
  assert.not(isAbandoned(null, 59_000, "here", dead));
  assert.ok(isAbandoned(null, 61_000, "here", alive));
});

test("withLock: what work throws comes out, and the lock is free", async () => {
  await withFolder(async (folder) => {
    const lock = path.join(folder, "x.lock");
    const work = async (): Promise<never> => {
      throw new WeightsError("no");
    };
    await fails(withLock(lock, { onWait: () => undefined }, work), WeightsError, "no");
    assert.equal(readdirSync(folder), []);
    assert.is(await withLock(lock, { onWait: () => undefined }, async () => 5), 5);
  });
});

test.run();
