/** Everything that can be imported from the package has a docstring, in the types that editors show. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));

const REEXPORT = /^export (?:type )?(\*|\{[^}]*\}) from "([^"]+)";/gm;

/** The names that a file exports, with the file that declares each. */
function exportsOf(file: string): Map<string, string> {
  const text = readFileSync(path.join(dist, file), "utf8");
  const names = new Map<string, string>();
  for (const [, what, from] of text.matchAll(REEXPORT)) {
    const source = path.posix.join(path.posix.dirname(file), from).replace(/\.js$/, ".d.ts");
    const inner = exportsOf(source);
    for (const name of what === "*" ? inner.keys() : namesIn(what)) names.set(name, inner.get(name) ?? source);
  }
  for (const [, name] of text.matchAll(declaration("[\\w$]+"))) names.set(name, file);
  return names;
}

function namesIn(braces: string): string[] {
  return braces
    .slice(1, -1)
    .split(",")
    .map((name) => name.trim().replace(/^type /, ""))
    .filter((name) => name !== "");
}

function declaration(name: string): RegExp {
  return new RegExp(
    `^export (?:declare )?(?:abstract )?(?:async )?(?:class|function|const|interface|type) (${name})(?![\\w$])`,
    "gm",
  );
}

/** Whether a docstring ends on the line before the (first) declaration. */
function isDocumented(name: string, file: string): boolean {
  const text = readFileSync(path.join(dist, file), "utf8");
  const [found] = text.matchAll(declaration(name.replaceAll("$", "\\$")));
  if (found === undefined) throw new Error(`${name} is not declared in ${file}`);
  return text.slice(0, found.index).trimEnd().endsWith("*/");
}

for (const entry of ["index.d.ts", "browser.d.ts"]) {
  test(`${entry}: every exported name has a docstring`, () => {
    const names = exportsOf(entry);
    for (const name of ["createEngine", "train", "conv2d", "Module", "SGD", "EngineOptions"])
      assert.ok(names.has(name));
    assert.equal(
      [...names].filter(([name, file]) => !isDocumented(name, file)).map(([name, file]) => `${file}: ${name}`),
      [],
    );
  });
}

test.run();
