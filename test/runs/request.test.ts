/** Requests: complete, from JSON, and what the trainer is given for their words. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { glorotUniform, heNormal } from "#src/nn/index.js";
import { initialiserOf, scheduleOf, stopOf, viewOf } from "#src/runs/options.js";
import { completeRequest, DEFAULT_REQUEST, parseRequest } from "#src/runs/request.js";
import { throws } from "../engine/nets.js";

test("a request survives JSON", () => {
  const request = completeRequest({ data: "folder:x", scale: [37, 73], classifier: [16, 8], lr: 0.1 + 0.2 });
  assert.equal(parseRequest(JSON.parse(JSON.stringify(request)), "config.json"), request);
});

test("a field that is missing or of another kind is named", () => {
  const wrong = {
    epochs: "10",
    lr: null,
    classifier: [1, "2"],
    optimiser: "lion",
    scale: [1],
    flip: 1,
    backend: undefined,
    tier: "fast",
  };
  for (const [name, value] of Object.entries(wrong)) {
    throws(
      () => parseRequest({ ...DEFAULT_REQUEST, [name]: value }, "config.json"),
      UsageError,
      `train: a field of config.json is missing or wrong (${name} ${JSON.stringify(value)}). Begin the run anew.`,
    );
  }
});

test("a request from before there were tiers is a plain one", () => {
  const { tier: _, ...before } = DEFAULT_REQUEST;
  assert.equal(parseRequest(before, "config.json"), { ...DEFAULT_REQUEST, tier: "plain" });
});

test("pictures on disk: cut at 224 from a smaller side of 256, unless asked otherwise", () => {
  const { input, scale, cropPadding } = completeRequest({ data: "folder:x" });
  assert.equal([input, scale, cropPadding], [224, 256, 0]);
  assert.is(completeRequest({ data: "folder:x", input: 64 }).scale, 73);
  assert.equal(viewOf(completeRequest({ data: "folder:x" })), { size: 224, scale: 256, place: "random" });
  assert.is(viewOf(completeRequest({})), undefined);
  assert.is(completeRequest({ data: "shapes" }).cropPadding, 4);
  assert.is(completeRequest({ data: "shapes", input: 64 }).cropPadding, 0);
  assert.is(completeRequest({ data: "shapes", scale: 40 }).cropPadding, 0);
});

test("initialisers by name", () => {
  assert.is(initialiserOf("he"), heNormal);
  assert.is(initialiserOf("glorot"), glorotUniform);
  assert.type(initialiserOf("normal:0.01"), "function");
  assert.type(initialiserOf("normal:1e-2"), "function");
  for (const text of ["", "normal", "normal:", "normal:-1", "normal:x", "He"]) {
    throws(
      () => initialiserOf(text),
      UsageError,
      `train: there is no such initialisation (init ${text}). Use he, glorot or normal:STD, such as normal:0.01.`,
    );
  }
});

test("schedules by name, after a warm-up", () => {
  const rate = (request: Partial<typeof DEFAULT_REQUEST>, step: number, validation: number[] = []): number =>
    scheduleOf(completeRequest(request))(step, 100, validation);
  assert.is(rate({ schedule: "constant" }, 50), 1);
  assert.is(rate({ schedule: "constant", warmUp: 1 }, 0), 0.5);
  assert.is(rate({ schedule: "step" }, 50), 0.1);
  assert.is(rate({ schedule: "plateau", patience: 1 }, 50, [0.5, 0.5]), 0.1);
  assert.ok(rate({ schedule: "cosine" }, 100) < 1e-12);
  assert.is(stopOf(completeRequest({ schedule: "plateau", patience: 1 }))([0.5, 0.5, 0.5, 0.5, 0.5]), true);
  assert.is(stopOf(completeRequest({}))(Array(1000).fill(0.5)), false);
});

test.run();
