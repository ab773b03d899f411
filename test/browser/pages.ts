/** What tests in a real browser share: the site, the browser, and pages whose complaints are kept. */
import type { BrowserContext, Page } from "playwright-core";
import type { Test } from "uvu";
import { chromiumPath, launchChromium } from "./chromium.js";
import { type Site, serve } from "./serve.js";

/** Each takes a second or two. */
const LIMIT_MS = 60_000;

/** A page of the site, what its console said, and what it asked for in vain. */
export interface OpenPage {
  readonly page: Page;
  readonly complaints: string[];
}

/** The clone's files without further headers, and with those by which pages may share memory with their workers. */
export interface Sites {
  readonly plain: Site;
  readonly isolated: Site;
}

/** Which page, and what to do before it is loaded. */
export interface PageOptions {
  readonly isolated?: boolean;
  /** Another site's page; default: an empty one of ours. */
  readonly url?: string;
  readonly prepare?: (page: Page) => Promise<void>;
}

/** Starts sites and browser before a file's tests, and ends them after. Without a browser its tests are skipped, visibly. */
export function browserTests(test: Test<Record<string, unknown>>): {
  browserTest: (name: string, run: () => Promise<void>) => void;
  openPage: (options?: PageOptions) => Promise<OpenPage>;
  paths: () => readonly string[];
  sites: () => Sites;
} {
  let sites: Sites;
  let browser: { context: BrowserContext; close(): Promise<void> };
  const program = chromiumPath;
  if (program === undefined) {
    console.log("SKIPPED the browser: neither Chromium nor Chrome is here; apt-get install chromium, or set CHROMIUM");
  } else {
    test.before(async () => {
      sites = { plain: await serve(), isolated: await serve(true) };
      browser = await launchChromium(program);
    });
    test.after(async () => {
      await browser.close();
      await sites.plain.close();
      await sites.isolated.close();
    });
  }
  return {
    browserTest: (name, run) => (program === undefined ? test.skip(name, run) : test(name, run)),
    async openPage({ isolated = false, url, prepare } = {}) {
      const page = await browser.context.newPage();
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
      page.on("pageerror", (error) => complaints.push(String(error)));
      page.on("requestfailed", (request) => complaints.push(`failed: ${request.url()}`));
      page.on("response", (response) => {
        if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
      });
      await prepare?.(page);
      await page.goto(url ?? sites[isolated ? "isolated" : "plain"].url);
      return { page, complaints };
    },
    paths: () => sites.plain.paths,
    sites: () => sites,
  };
}

/** Evaluates code in a page; a page that says nothing fails its test rather than hanging all. */
export async function run(page: Page, code: string): Promise<unknown> {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`the page gave no answer in ${LIMIT_MS / 1000} s`)), LIMIT_MS).unref();
  });
  return Promise.race([page.evaluate(code), late]);
}
