/** The paper's recipe as a list of runs. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { PAPER_SCALES, paperStages, scaledTo } from "#src/runs/recipe.js";
import { throws } from "../engine/nets.js";

test("the paper's scales at 224, and at 32", () => {
  assert.equal(
    PAPER_SCALES.map((scale) => scaledTo(224, scale)),
    [256, 384, [256, 512]],
  );
  assert.equal(
    PAPER_SCALES.map((scale) => scaledTo(32, scale)),
    [37, 55, [37, 73]],
  );
});

test("D: A first, then 256 from A, 384 and the jittered scale each from the one before, at a tenth of the rate", () => {
  const stages = paperStages({ config: "D", data: "folder:pictures" });
  assert.equal(
    stages.map(({ name, from, request }) => [name, from, request.config, request.scale, request.lr]),
    [
      ["1-A-256", null, "A", 256, 0.01],
      ["2-D-256", 0, "D", 256, 0.01],
      ["3-D-384", 1, "D", 384, 0.001],
      ["4-D-256-512", 2, "D", [256, 512], 0.001],
    ],
  );
  for (const { request } of stages) {
    const { batch, momentum, weightDecay, dropout, optimiser, schedule, classifier, flip, colourShift } = request;
    assert.equal([batch, momentum, weightDecay, dropout], [256, 0.9, 5e-4, 0.5]);
    assert.equal([optimiser, schedule, flip, colourShift], ["caffe", "plateau", true, true]);
    assert.equal([classifier, request.input, request.width], [[4096, 4096], 224, 1]);
  }
});

test("A has no net before it; a net that is given takes A's place; scales may be chosen", () => {
  const names = (given: Parameters<typeof paperStages>[0], scales?: Parameters<typeof paperStages>[1]): string[] =>
    paperStages(given, scales).map(({ name, from }) => `${name} from ${from}`);
  assert.equal(names({ config: "A" }, [256]), ["1-A-256 from null"]);
  assert.equal(names({ config: "A", input: 32 }), ["1-A-256 from null", "2-A-384 from 0", "3-A-256-512 from 1"]);
  assert.equal(names({ config: "D", initFrom: "a.safetensors" }, [384]), ["1-D-384 from null"]);
  assert.is(paperStages({ config: "D", initFrom: "a.safetensors" }, [384])[0].request.initFrom, "a.safetensors");
});

test("small sizes: hidden layers by the width, scales by the input; what the user gives is kept", () => {
  const [a, d] = paperStages({ config: "D", input: 32, width: 0.5, batch: 64, epochs: 9 }, [256]);
  for (const { request } of [a, d]) {
    assert.equal([request.classifier, request.scale, request.batch, request.epochs], [[2048, 2048], 37, 64, 9]);
  }
});

test("no scale, an unknown net", () => {
  throws(() => paperStages({}, []), UsageError, "train: the recipe needs a scale (scales 0). Name one, such as 256.");
  assert.throws(() => paperStages({ config: "Z" }), /^vgg: there is no such net/);
});

test.run();
