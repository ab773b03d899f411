import { test } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "#src/core/errors.js";
import { callLabel, checkVersions, isWritten, Program } from "#src/core/program.js";
import { Storage } from "#src/core/storage.js";
import { Tensor } from "#src/core/tensor.js";
import { createEngine } from "#src/engine.js";

const engine = await createEngine({ backend: "reference" });

function kept(label: string): Tensor {
  const storage = new Storage(1, "float32", "kept", label);
  storage.state = "live";
  return new Tensor(engine, [1], storage);
}

/** y = x, recorded when x had the given version. */
function pushCopy(program: Program, x: Tensor, y: Tensor, version: number): void {
  program.pushCall({
    kernel: "copy",
    shape: { length: 1, xBegin: 0, yBegin: 0 },
    tensors: { x, y },
    op: "copy",
    module: "features.3",
    phase: "forward",
    versions: new Map([[x.storage, version]]),
  });
}

test("callLabel: with and without a module", () => {
  assert.is(callLabel({ op: "conv2d", module: "features.3" }), "conv2d (features.3)");
  assert.is(callLabel({ op: "conv2d", module: "" }), "conv2d");
});

test("isWritten: sgd writes param and velocity, not grad", () => {
  assert.ok(isWritten("sgd", "param"));
  assert.ok(isWritten("sgd", "velocity"));
  assert.not(isWritten("sgd", "grad"));
});

test("parts: adopted programs run first, in the order of adoption, each after its own", () => {
  const [root, first, second, inner] = Array.from({ length: 4 }, () => new Program());
  first.adopt(inner);
  root.adopt(first);
  root.adopt(second);
  assert.equal(root.parts().length, 4);
  root.parts().forEach((part, i) => {
    assert.is(part, [inner, first, second, root][i]);
  });
  assert.is(inner.root(), root);
});

test("parts: a needed program runs with the first that needs it; it stays its own root", () => {
  const [a, b, shared] = Array.from({ length: 3 }, () => new Program());
  a.need(shared);
  b.need(shared);
  a.need(shared);
  assert.is(shared.root(), shared);
  assert.ok(shared.frozen);
  assert.is(a.parts().length, 2);
  assert.is(a.parts()[0], shared);
  shared.open = false;
  assert.is(b.parts().length, 1);
  assert.is(b.closedBefore()[0], shared);
});

test("parts: two that need one, adopted by a third: the shared one is first and only once", () => {
  const [root, a, b, shared] = Array.from({ length: 4 }, () => new Program());
  a.need(shared);
  b.need(shared);
  root.need(shared);
  root.adopt(b);
  root.adopt(a);
  const parts = root.parts();
  assert.is(parts.length, 4);
  parts.forEach((part, i) => {
    assert.is(part, [shared, b, a, root][i]);
  });
});

test("parts and root: a chain of 20,000 programs", () => {
  const chain = Array.from({ length: 20_000 }, () => new Program());
  for (let i = 1; i < chain.length; i++) chain[i].adopt(chain[i - 1]);
  const last = chain[chain.length - 1];
  assert.is(chain[0].root(), last);
  assert.is(last.parts().length, chain.length);
  assert.is(last.parts()[0], chain[0]);
});

test("truncate: calls, uploads, adoptions and needs since the mark are gone", () => {
  const [program, before, adopted, needed] = Array.from({ length: 4 }, () => new Program());
  program.adopt(before);
  const [x, y] = [kept("x"), kept("y")];
  pushCopy(program, x, y, 0);
  const mark = program.mark();
  program.adopt(adopted);
  program.need(needed);
  pushCopy(program, y, x, 0);
  program.pushUpload(x.storage, Float32Array.of(1));
  let undone = 0;
  program.undo.push(() => undone++);
  program.truncate(mark);
  assert.is(program.calls.length, 1);
  assert.is(program.uploads.length, 0);
  assert.is(program.parts().length, 2);
  assert.is(adopted.root(), adopted);
  assert.not(needed.frozen);
  assert.is(undone, 1);
});

test("checkVersions: reads after writes in one program are in order; the last version is returned", () => {
  const [w, v] = [kept("w"), kept("v")];
  const program = new Program();
  pushCopy(program, v, w, 0);
  pushCopy(program, w, v, 1);
  pushCopy(program, v, w, 1);
  assert.equal(
    [...checkVersions([program])].map(([storage, version]) => [storage.label, version]),
    [
      ["w", 2],
      ["v", 1],
    ],
  );
});

test("checkVersions: an upload counts as a write before all calls", () => {
  const [w, v] = [kept("w"), kept("v")];
  const program = new Program();
  program.pushUpload(w.storage, Float32Array.of(1));
  pushCopy(program, w, v, 1);
  assert.is(checkVersions([program]).get(w.storage), 1);
});

test("checkVersions: a value that changed since is refused, and what builds on the call is undone", () => {
  const [w, v, u] = [kept("features.3.weight"), kept("v"), kept("u")];
  const [root, stale, fine] = Array.from({ length: 3 }, () => new Program());
  pushCopy(fine, u, u, 0);
  pushCopy(stale, w, v, 0);
  pushCopy(root, v, u, 1);
  root.adopt(fine);
  root.adopt(stale);
  w.storage.queuedVersion = 1;
  assert.throws(
    () => checkVersions(root.parts()),
    (error: Error) =>
      error instanceof UsageError &&
      error.message ===
        "copy (features.3): a value changed after this was recorded (features.3.weight version 0, now 1). " +
          "Await the result before you change its inputs, or record both in one scope.",
  );
  assert.equal([root.calls.length, stale.calls.length, fine.calls.length], [0, 0, 1]);
});

test.run();
