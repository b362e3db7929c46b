// The time of the core: it never goes back, knows of sleep, and is quick for messages.
import assert from "node:assert/strict";
import test from "node:test";
import { sources } from "./bundle.mjs";

const [{ Clock }] = await sources("clock");

function clocks() {
  const at = { monotonic: 100, wall: 1_700_000_000_000 };
  return { at, clock: new Clock(() => at.monotonic, () => at.wall) };
}

test("time goes on with the monotonic clock", () => {
  const { at, clock } = clocks();
  const first = clock.now();
  assert.equal(first, at.wall);
  at.monotonic += 50;
  at.wall += 1_000;
  assert.equal(clock.now(), first + 50);
});

test("a sleep, in which the monotonic clock stands still, has taken its time", () => {
  const { at, clock } = clocks();
  const first = clock.now();
  at.wall += 3_600_000;
  assert.equal(clock.now(), first + 3_600_000);
  at.monotonic += 10;
  at.wall += 10;
  assert.equal(clock.now(), first + 3_600_010);
});

test("a clock that is set back does not set the time back, and a sleep after that is still seen", () => {
  const { at, clock } = clocks();
  const first = clock.now();
  at.wall -= 3_600_000;
  assert.equal(clock.now(), first);
  at.wall += 60_000;
  assert.equal(clock.now(), first + 60_000);
});

test("messages have the time of their event, if that is one", () => {
  const { at, clock } = clocks();
  const first = clock.now();
  at.monotonic = 160;
  assert.equal(clock.soon(150), first + 50);
  for (const none of [undefined, 0, -1, NaN, 1_700_000_000_000]) assert.equal(clock.soon(none), first + 60);
});
