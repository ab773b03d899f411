import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCommandLine } from "#src/cli/program.js";
import { runPull } from "#src/cli/pull.js";
import { UsageError, WeightsError } from "#src/core/errors.js";
import { fails } from "../io/fails.js";
import { answerSome, answerWell, entryOf, type Script, SHA256, serve, withFolder } from "../pull/server.js";
import { capture } from "./capture.js";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** First a connection that breaks, then a good answer. */
const brokenOnce: Script = (request, response, count) =>
  answerSome(request, response, count === 0 ? 30_000 : undefined);

function records(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test("for people: what was fetched, its licence, what to do next; faults on stderr", async () => {
  await withFolder(async (dir) => {
    const server = await serve(brokenOnce);
    const { output, stdout, stderr } = capture(false);
    try {
      assert.is(await runPull(entryOf(server.base), { dir }, output, { waitMs: 1 }), 0);
    } finally {
      await server.close();
    }
    const file = path.join(dir, "tiny.pth");
    assert.equal(stdout.text().split("\n"), [
      "net       tiny: 16,800 parameters, ImageNet top-1 69 %, top-5 88.6 % as published",
      `file      ${file}`,
      "licence   Free for tests.",
      `next      verydeep classify photo.jpg --weights ${JSON.stringify(file)}`,
      "",
    ]);
    assert.is(stderr.text(), `the connection failed: ECONNRESET (${server.base}tiny.pth): trying again\n`);
  });
});

test("on a terminal: a bar in megabytes, with speed and time left", async () => {
  await withFolder(async (dir) => {
    const server = await serve((request, response) => answerWell(request, response));
    const { output, stderr } = capture(false, true);
    try {
      await runPull(entryOf(server.base), { dir }, output);
    } finally {
      await server.close();
    }
    assert.match(stripVTControlCharacters(stderr.text()), /tiny [█░]{16} 0\/1 MB .*ETA/);
  });
});

test("for programs: progress, notes, the file", async () => {
  await withFolder(async (dir) => {
    const server = await serve(brokenOnce);
    const { output, stdout, stderr } = capture(true);
    try {
      await runPull(entryOf(server.base), { dir }, output, { waitMs: 1 });
    } finally {
      await server.close();
    }
    const [progress, ...rest] = records(stdout.text());
    assert.equal(progress, {
      kind: "progress",
      phase: "download",
      doneBytes: 0,
      totalBytes: 67_500,
      bytesPerSecond: 0,
    });
    assert.equal(rest, [
      {
        kind: "note",
        message: `the connection failed: ECONNRESET (${server.base}tiny.pth): trying again`,
      },
      { kind: "done", net: "tiny", file: path.join(dir, "tiny.pth"), licence: "Free for tests." },
    ]);
    assert.is(stderr.text(), "");
  });
});

test("what fails is thrown, for the program to tell", async () => {
  await withFolder(async (dir) => {
    const server = await serve((_, response) => response.end(Buffer.alloc(67_200)));
    const { output, stdout } = capture(false);
    try {
      const text = `published ${SHA256.slice(0, 8)}). Name another mirror, with --mirror or VERYDEEP_MIRROR.`;
      await fails(runPull(entryOf(server.base), { dir }, output), WeightsError, text);
    } finally {
      await server.close();
    }
    assert.is(stdout.text(), "");
    await fails(runPull(entryOf("http://x/"), { dir: "", mirror: "x" }, output), UsageError, "pull: the mirror is no");
  });
});

/** Runs the program itself. */
async function verydeep(args: string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
  });
  const [code]: (number | null)[] = await once(child, "close");
  return { code, stdout, stderr };
}

test("without a net: the list, for people and programs", async () => {
  await withFolder(async (folder) => {
    const { code, stdout, stderr } = await verydeep(["pull"], { VERYDEEP_CACHE: folder });
    assert.equal([code, stderr], [0, ""]);
    assert.match(stdout, /^vgg16 +553\.4 MB +71\.59 +90\.38 {2}-$/m);
    assert.match(stdout, `Kept in ${folder}\n`);
    assert.is(stdout.trimEnd().split("\n").length, 10);
    const { output, stdout: json } = capture(true);
    assert.is(await runCommandLine(["pull", "--dir", folder, "--json"], output), 0);
    const [list] = records(json.text());
    assert.is(list.folder, folder);
    assert.ok(Array.isArray(list.nets) && list.nets.length === 8);
    assert.is(list.nets[0].file, null);
    assert.is(list.nets[0].bytes, 531_460_784);
  });
});

test("the mirror of VERYDEEP_MIRROR is asked for the published name; exit codes 1 and 2", async () => {
  await withFolder(async (folder) => {
    const server = await serve((_, response) => response.writeHead(404).end());
    const env = { VERYDEEP_CACHE: folder, VERYDEEP_MIRROR: `${server.base}deep`, NO_PROXY: "*" };
    try {
      const missing = await verydeep(["pull", "vgg16-bn"], env);
      assert.equal([missing.code, missing.stdout], [1, ""]);
      assert.match(
        missing.stderr,
        `pull: the server answers 404 (${server.base}deep/vgg16_bn-6c64b313.pth). The file is`,
      );
      assert.equal(
        server.requests.map(({ url }) => url),
        ["/deep/vgg16_bn-6c64b313.pth"],
      );
      const unknown = await verydeep(["pull", "vgg17", "--json"], env);
      assert.is(unknown.code, 2);
      assert.match(unknown.stdout, /^\{"error":\{"name":"UsageError","message":"pull: there are no published weights/);
    } finally {
      await server.close();
    }
  });
});

test.run();
