/** Pulls over HTTPS and through proxies of the environment. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError, WeightsError } from "#src/core/errors.js";
import { pullEntry } from "#src/pull/pull-entry.js";
import { fails } from "../io/fails.js";
import { answerSome, answerWell, CONTENT, entryOf, type Script, serve, serveProxy, withFolder } from "./server.js";

const HALF = CONTENT.length >> 1;
const VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"].flatMap((name) => [name, name.toUpperCase()]);
const good: Script = (request, response) => answerWell(request, response);
const login = Buffer.from("ann:p@ss").toString("base64");

/** Pulls with these variables set, and no other proxy; the tests' certificate is trusted. Resolves to the requests' addresses. */
async function pullWith(
  variables: Record<string, string>,
  { secure = false, script = good, trust = true } = {},
): Promise<{ url: string | undefined; host: string | undefined }[]> {
  const requests: { url: string | undefined; host: string | undefined }[] = [];
  await withFolder(async (folder) => {
    const server = await serve(script, secure);
    const before = { ...process.env };
    for (const name of VARIABLES) delete process.env[name];
    Object.assign(process.env, variables);
    if (trust) process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      const file = await pullEntry(entryOf(server.base), { dir: folder }, { waitMs: 1 });
      assert.ok(readFileSync(path.join(folder, "tiny.pth")).equals(CONTENT), "other bytes");
      assert.is(file, path.join(folder, "tiny.pth"));
      for (const { url, headers } of server.requests) requests.push({ url, host: headers.host });
    } finally {
      for (const name of [...VARIABLES, "NODE_TLS_REJECT_UNAUTHORIZED"]) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
      await server.close();
    }
  });
  return requests;
}

// Node warns once that certificates are not checked.
process.removeAllListeners("warning");

test("https, without a proxy, also broken off", async () => {
  const script: Script = (request, response, count) => answerSome(request, response, count === 0 ? HALF : undefined);
  assert.is((await pullWith({}, { secure: true, script })).length, 2);
});

test("https with a certificate that is not trusted: error at once, names NODE_EXTRA_CA_CERTS", async () => {
  const pulling = pullWith({}, { secure: true, trust: false });
  await fails(
    pulling,
    WeightsError,
    "pull: the server's certificate is not trusted: DEPTH_ZERO_SELF_SIGNED_CERT (https",
  );
});

test("a redirect from https to http: refused", async () => {
  const plain = await serve(good);
  const script: Script = (_, response) => response.writeHead(302, { location: `${plain.base}tiny.pth` }).end();
  try {
    const pulling = pullWith({}, { secure: true, script });
    await fails(
      pulling,
      WeightsError,
      "pull: the server redirects from HTTPS to HTTP, which is refused (https://127.0",
    );
    assert.equal(plain.requests, []);
  } finally {
    await plain.close();
  }
});

test("https through a tunnel, with name and password, also broken off", async () => {
  const proxy = await serveProxy();
  const script: Script = (request, response, count) => answerSome(request, response, count === 0 ? HALF : undefined);
  try {
    const HTTPS_PROXY = `http://ann:p%40ss@127.0.0.1:${proxy.port}`;
    const [first, second] = await pullWith({ HTTPS_PROXY }, { secure: true, script });
    assert.equal([first.url, second.url], ["/tiny.pth", "/tiny.pth"]);
    assert.equal(proxy.asked, Array(2).fill(`CONNECT ${first.host} Basic ${login}`));
  } finally {
    await proxy.close();
  }
});

test("http through a proxy: the proxy is asked for the address", async () => {
  const proxy = await serveProxy();
  try {
    const [{ url, host }] = await pullWith({ http_proxy: `http://ann:p%40ss@127.0.0.1:${proxy.port}` });
    assert.is(url, "/tiny.pth");
    assert.equal(proxy.asked, [`GET http://${host}/tiny.pth Basic ${login}`]);
  } finally {
    await proxy.close();
  }
});

test("NO_PROXY: directly; HTTPS_PROXY is not for http", async () => {
  const proxy = await serveProxy();
  const address = `http://127.0.0.1:${proxy.port}`;
  try {
    await pullWith({ HTTP_PROXY: address, NO_PROXY: "example.org,127.0.0.1" });
    await pullWith({ HTTPS_PROXY: address, NO_PROXY: "*" }, { secure: true });
    await pullWith({ HTTPS_PROXY: address });
    assert.equal(proxy.asked, []);
  } finally {
    await proxy.close();
  }
});

for (const [status, text] of [
  [407, "pull: the proxy answers 407 (https://127.0.0.1:"],
  [403, "Ask whoever runs it, or name the host in NO_PROXY."],
  [502, "pull: the connection failed: Bad response: 502 (https://127.0.0.1:"],
] as const) {
  test(`a proxy that answers ${status} to CONNECT: ${text}`, async () => {
    const proxy = await serveProxy(status);
    try {
      const pulling = pullWith({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }, { secure: true });
      await fails(pulling, WeightsError, text);
      assert.is(proxy.asked.length, status === 502 ? 6 : 1);
    } finally {
      await proxy.close();
    }
  });
}

test("a proxy of another kind: error", async () => {
  const pulling = pullWith({ HTTPS_PROXY: "socks5://ann:secret@127.0.0.1:1080" }, { secure: true });
  await fails(pulling, UsageError, "pull: this proxy cannot be used (socks5://127.0.0.1:1080). Name one that begins");
});

test.run();
