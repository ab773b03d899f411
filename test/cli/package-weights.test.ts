/** The net that ships with the package: small, and right about the pictures beside it. */
import { readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCommandLine } from "#src/cli/program.js";
import { createEngine, evaluate, loadModel, openData } from "#src/index.js";
import { capture } from "./capture.js";

const pictures = fileURLToPath(new URL("../../weights/pictures/", import.meta.url));
const weights = fileURLToPath(new URL("../../weights/shapes-vgg.safetensors", import.meta.url));

test("weights/shapes-vgg.safetensors has at most 300 KB", () => {
  assert.ok(statSync(weights).size <= 300_000);
});

test("99.0 % of the 2,000 test pictures of shapes", async () => {
  const engine = await createEngine({ tier: "plain" });
  const { model, metadata } = await loadModel(weights, engine);
  const { test: pictures } = await openData("shapes");
  const { mean, std } = metadata;
  const { top1 } = await evaluate(model, pictures, { batch: 100, normalise: { mean, std } });
  assert.is(top1, 0.99);
  await engine.close();
});

test("verydeep classify without --weights: every sample picture by its name", async () => {
  const names = readdirSync(pictures).filter((name) => name.endsWith(".png"));
  assert.is(names.length, 10);
  const { output, stdout } = capture(true);
  const files = names.map((name) => `${pictures}${name}`);
  assert.is(await runCommandLine(["classify", ...files, "--top", "1", "--json"], output), 0);
  const lines = stdout.text().trim().split("\n");
  const records: { predictions: { label: string; probability: number }[] }[] = lines.map((line) => JSON.parse(line));
  assert.equal(
    records.map(({ predictions }) => `${predictions[0].label}.png`),
    names,
  );
  for (const { predictions } of records) assert.ok(predictions[0].probability > 0.5);
});

test.run();
