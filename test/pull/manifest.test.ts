/** Which weights are known, where files are kept, and from where they come. */
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { cachedWeights, manifestEntries, manifestEntry, pull, vggLayers, vggTotals } from "#src/index.js";
import { pullFolder } from "#src/pull/cache.js";
import { addressOf, folderOf } from "#src/pull/pull-entry.js";
import { fails, has } from "../io/fails.js";
import { withFolder } from "./server.js";

const NAMES = ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"];

test("the manifest: eight nets, whose parameters and sizes fit", () => {
  assert.equal(
    manifestEntries().map(({ name }) => name),
    NAMES,
  );
  for (const { name, config, batchNorm, params, file, url, minBytes, maxBytes, sha256 } of manifestEntries()) {
    assert.is(params, vggTotals(vggLayers(config, { batchNorm })).params, name);
    assert.is(url, `https://download.pytorch.org/models/${file}`);
    assert.match(sha256, /^([0-9a-f]{8}|[0-9a-f]{64})$/);
    assert.is(file, `${name}-${sha256.slice(0, 8)}.pth`);
    // float32, and up to 100 kB for names and running statistics.
    assert.ok(minBytes >= params * 4 && maxBytes < params * 4 + 100_000, name);
    assert.ok(maxBytes - minBytes <= 1049, name);
  }
});

test("names: in any case, _bn or -bn", () => {
  assert.is(manifestEntry("VGG16")?.config, "D");
  assert.is(manifestEntry("vgg19-bn"), manifestEntry("VGG19_BN"));
  for (const name of ["", "vgg", "vgg17", "__proto__", "constructor", "vgg16 ", "alexnet"]) {
    assert.is(manifestEntry(name), undefined);
  }
});

test("pull of an unknown name: error that lists all", async () => {
  const text = 'pull: there are no published weights of this name (net "vgg17"). Use one of vgg11, vgg13, vgg16,';
  await fails(pull("vgg17"), UsageError, text);
});

test("cachedWeights: undefined where nothing is, for unknown names too", async () => {
  await withFolder(async (folder) => {
    assert.is(await cachedWeights("vgg16", { dir: folder }), undefined);
    assert.is(await cachedWeights("heart.safetensors", { dir: folder }), undefined);
  });
});

test("the folder: VERYDEEP_CACHE, or the system's for caches", () => {
  const home = "/home/ann";
  const on = (platform: string, env: Record<string, string>, at = home): string =>
    pullFolder({ platform, env, home: at });
  assert.is(on("linux", { VERYDEEP_CACHE: "/c", XDG_CACHE_HOME: "/x" }), path.resolve("/c"));
  assert.is(on("linux", { XDG_CACHE_HOME: "/x" }), "/x/verydeep");
  assert.is(on("linux", { XDG_CACHE_HOME: "x" }), "/home/ann/.cache/verydeep");
  assert.is(on("freebsd", {}), "/home/ann/.cache/verydeep");
  assert.is(on("darwin", { XDG_CACHE_HOME: "/x" }), "/home/ann/Library/Caches/verydeep");
  assert.is(on("win32", { LOCALAPPDATA: "D:\\a" }), "D:\\a\\verydeep");
  assert.is(on("win32", {}, "C:\\Users\\ann"), "C:\\Users\\ann\\AppData\\Local\\verydeep");
  assert.throws(
    () => on("linux", {}, ""),
    (error: unknown) => has(error, UsageError, 'pull: this user has no home folder (home "").'),
  );
  assert.is(folderOf("x"), path.resolve("x"));
});

test("the address: the publisher's, or a mirror's", () => {
  const entry = manifestEntry("vgg16");
  if (entry === undefined) throw new Error("no entry");
  assert.is(addressOf(entry, undefined).href, entry.url);
  assert.is(addressOf(entry, "").href, entry.url);
  for (const mirror of ["http://m.example/weights", "http://m.example/weights/"]) {
    assert.is(addressOf(entry, mirror).href, "http://m.example/weights/vgg16-397923af.pth");
  }
  for (const mirror of ["m.example", "ftp://m.example", "/srv/weights", "https://"]) {
    assert.throws(
      () => addressOf(entry, mirror),
      (error: unknown) => has(error, UsageError, `pull: the mirror is no address (mirror "${mirror}"). Write one that`),
    );
  }
});

test.run();
