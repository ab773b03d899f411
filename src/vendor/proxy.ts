/**
 * Third-party code for proxies, bundled at build time (scripts/build.js): proxy-from-env (which proxy HTTPS_PROXY, HTTP_PROXY, ALL_PROXY
 * and NO_PROXY name for an address) and hpagent (tunnels through it). Loaded by pull/request.ts.
 */
import type { Agent } from "node:https";
import { HttpsProxyAgent } from "hpagent";
import { getProxyForUrl } from "proxy-from-env";

/** The proxy that the environment names for an address; "" for none. */
export function proxyFor(url: URL): string {
  return getProxyForUrl(url.href);
}

/**
 * An agent whose TLS connections go through a proxy's tunnel.
 * @param timeoutMs for the proxy's answer.
 */
export function tunnelAgent(proxy: URL, timeoutMs: number): Agent {
  return new HttpsProxyAgent({ proxy, timeout: timeoutMs });
}
