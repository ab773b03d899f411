/**
 * GET over HTTP and HTTPS with what a download needs: proxies of the environment (Node's fetch knows none before Node 24), redirects that
 * never leave HTTPS, an end to servers that say nothing. What is in the answers is for answer.ts to judge.
 */
import http, { type IncomingMessage, type RequestOptions } from "node:http";
import https from "node:https";
import { UsageError, WeightsError } from "../core/errors.js";

const MAX_REDIRECTS = 5;
/** How long a proxy may take to open its tunnel. */
const PROXY_MS = 30_000;

/** A server that said nothing for too long. */
export class SilenceError extends Error {
  override readonly name = "SilenceError";
}

/**
 * Ends a request whose server is silent for too long: between the request and the answer, and between two pieces of the body. Its signal
 * is also aborted by the one that it is made of.
 */
export class Patience {
  readonly #controller = new AbortController();
  readonly #ms: number;
  readonly #outer: AbortSignal | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, outer?: AbortSignal) {
    this.#ms = ms;
    this.#outer = outer;
    outer?.addEventListener("abort", this.#onAbort);
    if (outer?.aborted) this.#onAbort();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time begins (again). */
  start(): void {
    this.stop();
    this.#timer = setTimeout(() => {
      this.#controller.abort(new SilenceError(`the server is silent (for ${this.#ms / 1000} s)`));
    }, this.#ms);
  }

  /** No time runs: we are busy ourselves. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  dispose(): void {
    this.stop();
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => this.#controller.abort(this.#outer?.reason);
}

/**
 * The answer to a GET, after redirects, with its body still to come.
 * @throws UsageError for an address or a proxy that cannot be used, WeightsError for bad redirects; whatever the network throws; the
 * reason of the patience's signal.
 */
export async function get(url: URL, headers: Record<string, string>, patience: Patience): Promise<IncomingMessage> {
  let target = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    patience.signal.throwIfAborted();
    const answer = await send(target, headers, patience.signal);
    const { statusCode = 0, headers: received } = answer;
    if (![301, 302, 303, 307, 308].includes(statusCode)) return answer;
    answer.destroy();
    target = redirected(target, received.location);
  }
  throw new WeightsError(
    `pull: the server redirects too often (${shown(url)}). Name another mirror, with --mirror or VERYDEEP_MIRROR.`,
  );
}

/** An address without name, password and query, for messages. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function redirected(from: URL, location: string | undefined): URL {
  const to = location !== undefined && URL.canParse(location, from) ? new URL(location, from) : null;
  if (to === null || !["http:", "https:"].includes(to.protocol)) {
    throw new WeightsError(
      `pull: the server redirects to nowhere (${shown(from)}, location ${JSON.stringify(location)}). Name another mirror, with --mirror or VERYDEEP_MIRROR.`,
    );
  }
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw new WeightsError(
      `pull: the server redirects from HTTPS to HTTP, which is refused (${shown(from)} to ${shown(to)}). Name another mirror, with --mirror or VERYDEEP_MIRROR.`,
    );
  }
  return to;
}

async function send(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> {
  const { options, secure } = await route(url, headers);
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).request({ ...options, signal });
    request.on("response", (answer) => {
      signal.addEventListener("abort", () => answer.destroy(), { once: true });
      resolve(answer);
    });
    // After the answer, its body tells of errors.
    request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    request.end();
  });
}

/** How to reach an address: directly, through a proxy's tunnel (HTTPS), or by asking the proxy for it (HTTP). */
async function route(url: URL, headers: Record<string, string>): Promise<{ options: RequestOptions; secure: boolean }> {
  const { proxyFor, tunnelAgent } = await import("../vendor/proxy.js");
  const secure = url.protocol === "https:";
  const direct: RequestOptions = {
    protocol: url.protocol,
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port || (secure ? 443 : 80),
    path: `${url.pathname}${url.search}`,
    // A connection of its own: one that was kept may be dead.
    agent: false,
    headers: { ...headers, ...authorization("authorization", url) },
  };
  const named = proxyFor(url);
  if (named === "") return { options: direct, secure };
  const proxy = URL.canParse(named) ? new URL(named) : null;
  if (proxy === null || !["http:", "https:"].includes(proxy.protocol)) {
    throw new UsageError(
      `pull: this proxy cannot be used (${proxy ? shown(proxy) : "HTTPS_PROXY or HTTP_PROXY"}). Name one that begins with http:// or https://, or unset the variable.`,
    );
  }
  if (secure) return { options: { ...direct, agent: tunnelAgent(proxy, PROXY_MS) }, secure };
  return {
    options: {
      ...direct,
      protocol: proxy.protocol,
      hostname: proxy.hostname.replace(/^\[|\]$/g, ""),
      port: proxy.port || (proxy.protocol === "https:" ? 443 : 80),
      path: `${url.protocol}//${url.host}${url.pathname}${url.search}`,
      headers: { ...direct.headers, host: url.host, ...authorization("proxy-authorization", proxy) },
    },
    secure: proxy.protocol === "https:",
  };
}

function authorization(header: string, { username, password }: URL): Record<string, string> {
  if (username === "" && password === "") return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { [header]: `Basic ${Buffer.from(pair).toString("base64")}` };
}
