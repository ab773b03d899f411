/** Packs the build and installs the tarball in an empty folder, once for all suites here; the folder's name has blanks and no ASCII. */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { npm } from "../../scripts/npm.js";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Installed {
  /** The folder that has the package in its node_modules. */
  readonly folder: string;
  readonly tarball: string;
  readonly tarballBytes: number;
}

/** What npm says where there is no network and its cache lacks piscina. */
const NO_NETWORK = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED/;

let installed: Promise<Installed | null> | null = null;

/** Installs at the first call; null without a network. The folder is removed when the process ends. */
export function install(): Promise<Installed | null> {
  installed ??= packAndInstall().catch((error: unknown) => {
    if (!NO_NETWORK.test(String(error))) throw error;
    console.log("SKIPPED the installed package: the package registry cannot be reached");
    return null;
  });
  return installed;
}

async function packAndInstall(): Promise<Installed> {
  const base = mkdtempSync(path.join(tmpdir(), "verydeep-package-"));
  process.once("exit", () => rmSync(base, { recursive: true, force: true }));
  const folder = path.join(base, "mein Übungs-Ordner ✓");
  mkdirSync(folder);
  // --ignore-scripts: what is packed is the build that all tests run on.
  const packed = await npm(["pack", "--ignore-scripts", "--json", "--pack-destination", base], { cwd: root });
  const [{ filename }]: { filename: string }[] = JSON.parse(packed.stdout);
  const tarball = path.join(base, filename);
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  await npm(["install", "--omit=optional", "--prefer-offline", "--no-audit", "--no-fund", tarball], { cwd: folder });
  return { folder, tarball, tarballBytes: statSync(tarball).size };
}
