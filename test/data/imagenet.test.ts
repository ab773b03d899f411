import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { imagenetNames } from "#src/index.js";

const names = await imagenetNames();

/** Some that everybody knows, from torchvision's list of categories. */
const KNOWN: Readonly<Record<number, string>> = {
  0: "tench",
  1: "goldfish",
  134: "crane",
  207: "golden retriever",
  281: "tabby",
  388: "giant panda",
  404: "airliner",
  474: "cardigan",
  517: "crane",
  638: "maillot",
  639: "maillot",
  954: "banana",
  999: "toilet tissue",
};
/** SHA-256 of timm 1.0.29's lemmas of its imagenet_synsets.txt, one a line, in lower case: another hand's list of the same. */
const TIMM = "b377bdbba844a9ae189a36e08799cd40797cb44a8d27617585304e77d90b5330";

test("1000 names, none empty, no blanks around them", () => {
  assert.is(names.length, 1000);
  assert.ok(names.every((name) => name !== "" && name === name.trim()));
});

test("names that everybody knows stand where they should", () => {
  for (const [index, name] of Object.entries(KNOWN)) assert.is(names[Number(index)].split(", ")[0], name, index);
});

test("all names are those that timm has for WordNet's ids in ascending order", () => {
  assert.is(createHash("sha256").update(names.join("\n").toLowerCase()).digest("hex"), TIMM);
});

test.run();
