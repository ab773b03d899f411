import { test } from "uvu";
import * as assert from "uvu/assert";
import { DataError, UsageError } from "#src/core/errors.js";
import { openData } from "#src/data/open-data.js";
import { shapes } from "#src/data/shapes.js";

const ALLOWED =
  "Use shapes, shapes:N (N pictures, 100 to 1000000), cifar10:DIR (a directory with data_batch_*.bin), " +
  "mnist:DIR (a directory with t10k-images-idx3-ubyte) or folder:DIR (a directory with a folder of pictures for each class).";

async function failure(spec: string): Promise<unknown> {
  return openData(spec).then(
    () => undefined,
    (reason: unknown) => reason,
  );
}

test("shapes:120 with seed 3 is shapes({ count: 120, seed: 3 })", async () => {
  const opened = await openData("shapes:120", { seed: 3, validationFraction: 0.2 });
  assert.equal(opened, shapes({ count: 120, seed: 3, validationFraction: 0.2 }));
  assert.equal([opened.train.labels.length, opened.validation.labels.length, opened.test.labels.length], [80, 20, 20]);
});

test("bad counts: 99, 1000001, 1e3, 12.5, -5, none", async () => {
  for (const spec of ["shapes:99", "shapes:1000001", "shapes:1e3", "shapes:12.5", "shapes:-5", "shapes:"]) {
    const error = await failure(spec);
    assert.instance(error, UsageError);
    const text = `data: the count of shapes is not a whole number from 100 to 1000000 (spec ${spec}). ${ALLOWED}`;
    assert.is(error instanceof Error ? error.message : "", text);
  }
});

test("unknown specs list what is allowed", async () => {
  for (const spec of ["", "imagenet:x", "Shapes", "./folder"]) {
    const error = await failure(spec);
    assert.instance(error, UsageError);
    assert.is(
      error instanceof Error ? error.message : "",
      `data: there is no such data set (spec ${spec}). ${ALLOWED}`,
    );
  }
});

test("cifar10, mnist, folder without a directory; with a path that has a colon", async () => {
  for (const kind of ["cifar10", "mnist", "folder"]) {
    for (const spec of [kind, `${kind}:`]) {
      const noDirectory = await failure(spec);
      assert.instance(noDirectory, UsageError);
      assert.is(
        noDirectory instanceof Error ? noDirectory.message : "",
        `data: ${kind} needs a directory (spec ${spec}). ${ALLOWED}`,
      );
    }
    const missing = await failure(`${kind}:C:/no/such`);
    assert.instance(missing, DataError);
    assert.match(missing instanceof Error ? missing.message : "", "(C:/no/such ENOENT)");
  }
});

test.run();
