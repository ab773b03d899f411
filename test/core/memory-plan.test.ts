import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Lifespan, planSlots, type SlotPlan } from "#src/core/memory-plan.js";
import { Random } from "#src/core/random.js";

/** May value b be written over a? */
function takesOver(lifespans: readonly Lifespan[], a: number, b: number): boolean {
  const sameSize = lifespans[a].sizeBytes === lifespans[b].sizeBytes;
  return sameSize && lifespans[a].last === lifespans[b].first && lifespans[b].over?.includes(a) === true;
}

/** Fails where two values that live at the same time overlap, or a slot is not as large as its values. */
function checkPlan(lifespans: readonly Lifespan[], { slotOf, slots, sizeBytes }: SlotPlan, unitBytes = 64): void {
  assert.is(slotOf.length, lifespans.length);
  const ends = slots.map((slot) => slot.offsetBytes + Math.ceil(slot.sizeBytes / unitBytes) * unitBytes);
  for (let a = 0; a < lifespans.length; a++) {
    const slot = slots[slotOf[a]];
    assert.is(slot.sizeBytes, lifespans[a].sizeBytes);
    assert.is(slot.offsetBytes % unitBytes, 0);
    for (let b = a + 1; b < lifespans.length; b++) {
      const other = slots[slotOf[b]];
      const together = lifespans[a].first <= lifespans[b].last && lifespans[b].first <= lifespans[a].last;
      if (!together || takesOver(lifespans, a, b) || takesOver(lifespans, b, a)) continue;
      const apart = ends[slotOf[a]] <= other.offsetBytes || ends[slotOf[b]] <= slot.offsetBytes;
      assert.ok(apart, `values ${a} and ${b} live together in the same bytes`);
    }
  }
  assert.is(sizeBytes, Math.max(0, ...ends));
}

/** Bytes of all values that live at one call, at the worst call: no plan can need less. */
function largestAtOnce(lifespans: readonly Lifespan[]): number {
  return Math.max(
    ...lifespans.map(({ first }) =>
      lifespans
        .filter((l) => l.first <= first && first <= l.last)
        .reduce((sum, l) => sum + Math.ceil(l.sizeBytes / 64) * 64, 0),
    ),
  );
}

test("planSlots: no values", () => {
  assert.equal(planSlots([]), { slotOf: [], slots: [], sizeBytes: 0 });
});

test("planSlots: 200 random programs of 40 values: nobody shares, and little is lost", () => {
  let worst = 0;
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed, "lifespans");
    const lifespans = Array.from({ length: 40 }, () => {
      const first = random.integer(30);
      return { sizeBytes: 4 * random.integer(1000), first, last: first + random.integer(10) };
    });
    const plan = planSlots(lifespans);
    checkPlan(lifespans, plan);
    const least = largestAtOnce(lifespans);
    assert.ok(plan.sizeBytes >= least);
    assert.ok(plan.sizeBytes <= planSlots(lifespans, false).sizeBytes);
    worst = Math.max(worst, plan.sizeBytes / least);
  }
  assert.ok(worst < 1.25, `${worst}`);
});

test("planSlots: a chain of 1000 equal values needs the memory of two", () => {
  const chain = Array.from({ length: 1000 }, (_, i) => ({ sizeBytes: 400, first: i, last: i + 1 }));
  const plan = planSlots(chain);
  checkPlan(chain, plan);
  assert.is(plan.sizeBytes, 2 * 448);
});

test("planSlots: a chain of shrinking values needs no more than its two largest", () => {
  const chain = Array.from({ length: 50 }, (_, i) => ({ sizeBytes: 4000 - 64 * i, first: i, last: i + 1 }));
  const plan = planSlots(chain);
  checkPlan(chain, plan);
  assert.is(plan.sizeBytes, 4032 + 3968);
});

test("planSlots: a value that is read by the call that writes another keeps its memory", () => {
  const { slots } = planSlots([
    { sizeBytes: 64, first: 0, last: 3 },
    { sizeBytes: 64, first: 3, last: 4 },
  ]);
  assert.equal(
    slots.map(({ offsetBytes }) => offsetBytes),
    [0, 64],
  );
});

test("planSlots: small values lie beside one another in the memory of large ones", () => {
  const lifespans = [
    { sizeBytes: 100, first: 0, last: 0 },
    { sizeBytes: 60, first: 0, last: 1 },
    { sizeBytes: 256, first: 2, last: 3 },
    { sizeBytes: 64, first: 3, last: 4 },
  ];
  const plan = planSlots(lifespans);
  checkPlan(lifespans, plan);
  assert.equal(plan.slots, [
    { offsetBytes: 0, sizeBytes: 100 },
    { offsetBytes: 128, sizeBytes: 60 },
    { offsetBytes: 0, sizeBytes: 256 },
    { offsetBytes: 256, sizeBytes: 64 },
  ]);
  assert.is(plan.sizeBytes, 320);
});

test("planSlots: 200 random programs of 40 values that may be written over others: nobody else shares, everybody fits", () => {
  let written = 0;
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed, "over");
    const lifespans = Array.from({ length: 40 }, () => {
      const first = random.integer(30);
      const over = Array.from({ length: 3 }, () => random.integer(40));
      return { sizeBytes: 4 * (1 + random.integer(3)), first, last: first + random.integer(10), over };
    });
    const plan = planSlots(lifespans);
    checkPlan(lifespans, plan);
    for (let a = 0; a < 40; a++) {
      const over = lifespans.map((_, b) => b).filter((b) => a !== b && takesOver(lifespans, a, b));
      const sharing = over.filter((b) => plan.slotOf[a] === plan.slotOf[b] && lifespans[a].first < lifespans[b].first);
      // A value is written over once at most.
      assert.ok(sharing.length <= 1);
      written += sharing.length;
    }
  }
  assert.ok(written > 100, `${written}`);
});

test("planSlots: a chain of 1000 values, each written over the one before, needs one slot; without reuse 1000", () => {
  const chain = Array.from({ length: 1000 }, (_, i) => ({ sizeBytes: 400, first: i, last: i + 1, over: [i - 1] }));
  const spans = chain.map((span, i) => (i === 0 ? { ...span, over: [] } : span));
  const plan = planSlots(spans);
  checkPlan(spans, plan);
  assert.equal(plan.slots, [{ offsetBytes: 0, sizeBytes: 400 }]);
  assert.is(planSlots(spans, false).slots.length, 1000);
});

test("planSlots: nothing is written over what lives on, is of another size, or was taken already", () => {
  const value = { sizeBytes: 64, first: 0, last: 3 };
  const slots = (...others: Partial<Lifespan>[]): readonly number[] =>
    planSlots([value, ...others.map((other) => ({ sizeBytes: 64, first: 3, last: 4, over: [0], ...other }))]).slotOf;
  assert.equal(slots({}), [0, 0]);
  assert.equal(slots({ first: 2 }), [0, 1]);
  assert.equal(slots({ sizeBytes: 32 }), [0, 1]);
  assert.equal(slots({ over: [] }), [0, 1]);
  assert.equal(slots({}, {}), [0, 0, 1]);
  assert.equal(slots({ last: 3 }, {}), [0, 0, 1]);
});

test("planSlots: with reuse off every value has a slot of its own size", () => {
  const lifespans = Array.from({ length: 20 }, (_, i) => ({ sizeBytes: 4 * i, first: i, last: i }));
  const plan = planSlots(lifespans, false);
  assert.equal(plan.slotOf, Array.from(lifespans.keys()));
  checkPlan(
    lifespans.map(({ sizeBytes }) => ({ sizeBytes, first: 0, last: 0 })),
    plan,
  );
});

test("planSlots: 200 random programs in pieces: no slot crosses from one to the next, larger ones begin on one", () => {
  const rules = { unitBytes: 256, pieceBytes: 4096 };
  let [crossings, larger] = [0, 0];
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed, "pieces");
    const lifespans = Array.from({ length: 40 }, () => {
      const first = random.integer(30);
      // One in eight is larger than a piece.
      const sizeBytes = 4 * (1 + random.integer(random.integer(8) === 0 ? 3000 : 700));
      return { sizeBytes, first, last: first + random.integer(10) };
    });
    for (const reuse of [true, false]) {
      const plan = planSlots(lifespans, reuse, rules);
      const lived = reuse ? lifespans : lifespans.map((span) => ({ ...span, first: 0, last: 0 }));
      checkPlan(lived, plan, rules.unitBytes);
      for (const { offsetBytes, sizeBytes } of plan.slots) {
        const inPiece = offsetBytes % rules.pieceBytes;
        if (sizeBytes > rules.pieceBytes) assert.is(inPiece, 0);
        else assert.ok(inPiece + sizeBytes <= rules.pieceBytes, `${sizeBytes} bytes at ${offsetBytes}`);
        if (sizeBytes > rules.pieceBytes) larger++;
      }
    }
    const { slots } = planSlots(lifespans, true, { ...rules, pieceBytes: Number.POSITIVE_INFINITY });
    crossings += slots.filter(
      ({ offsetBytes, sizeBytes }) => (offsetBytes % rules.pieceBytes) + sizeBytes > rules.pieceBytes,
    ).length;
  }
  // Without the rule they would.
  assert.ok(crossings > 100 && larger > 100, `${crossings} ${larger}`);
});

test("planSlots: in pieces of 1024 bytes, by hand", () => {
  const rules = { unitBytes: 256, pieceBytes: 1024 };
  const at = (...sizes: number[]): readonly number[] =>
    planSlots(
      sizes.map((sizeBytes) => ({ sizeBytes, first: 0, last: 0 })),
      true,
      rules,
    ).slots.map(({ offsetBytes }) => offsetBytes);
  assert.equal(at(768, 512), [0, 1024]);
  // The gap that the second leaves is filled.
  assert.equal(at(768, 512, 256), [0, 1024, 768]);
  assert.equal(at(1024, 1024), [0, 1024]);
  // A larger one ends inside a piece, and another may go on there, if it is not larger itself.
  assert.equal(at(1280, 768), [0, 1280]);
  assert.equal(at(1280, 1028), [0, 2048]);
});

test.run();
