// Gaps are gaps, and what was not good is not drawn as if it were.

import { equal } from "../testing.ts";
import { columns, MINUTE, type Minute, points, rows, spans } from "./trend.ts";

const minute = (n: number, value: number | null, good = MINUTE): Minute => [
  n * MINUTE,
  value,
  value,
  value,
  value,
  good,
];

Deno.test("a minute that is missing breaks the line and is shaded as a gap", () => {
  const found = points([minute(0, 1), minute(1, 2), minute(4, 3)], [], 0, 5 * MINUTE, false);
  equal(columns(found, 1.5 * MINUTE)[3], [1, 2, null, 3]);
  equal(spans(found, 0, 5 * MINUTE, 1.5 * MINUTE), [{ from: 2 * MINUTE, to: 4 * MINUTE, quality: "gap" }]);
});

Deno.test("a table has a row for a gap", () => {
  const found = points([minute(0, 1), minute(1, 2), minute(4, 3)], [], 0, 5 * MINUTE, false);
  const table = rows(found, 0, 5 * MINUTE, 1.5 * MINUTE).map((one) => [one.ts / MINUTE, one.lasts / MINUTE, one.last]);
  equal(table, [[4, 1, 3], [2, 2, null], [1, 1, 2], [0, 1, 1]]);
});

Deno.test("a single minute that is missing is a gap too, also of a tag that is read rarely", () => {
  const found = points([minute(0, 1), minute(2, 2)], [], 0, 3 * MINUTE, false);
  equal(columns(found, 30 * MINUTE)[3], [1, null, 2]);
  equal(spans(found, 0, 3 * MINUTE, 30 * MINUTE), [{ from: MINUTE, to: 2 * MINUTE, quality: "gap" }]);
});

Deno.test("a minute without a good value is bad, one with a value that is not good uncertain", () => {
  const found = points(
    [minute(0, null, 0), [MINUTE, null, null, null, 7, 0], minute(2, 3, 30_000)],
    [],
    0,
    3 * MINUTE,
    false,
  );
  equal(found.map((one) => one.quality), ["bad", "uncertain", "part"]);
});

Deno.test("behind the last minute stands what the page saw itself, each value once", () => {
  const seen: ["good", number][] = [["good", 30_000], ["good", 61_000], ["good", 62_000]];
  const found = points(
    [minute(0, 1)],
    seen.map(([quality, ts]) => [ts / 1000, quality, ts]),
    0,
    2 * MINUTE,
    false,
  );
  equal(found.map((one) => one.ts), [0, 61_000, 62_000]);
});

Deno.test("time never runs backwards where minutes end and values begin", () => {
  const seen: ["good", number][] = [["good", 84_000], ["good", 86_000], ["good", 121_000], ["good", 123_000]];
  const samples = seen.map(([quality, ts]): [number, "good", number] => [ts / 1000, quality, ts]);
  for (const raw of [true, false]) {
    const [x] = columns(points([minute(0, 1), minute(1, 2)], samples, 0, 3 * MINUTE, raw), 1.5 * MINUTE);
    equal(x, [30, 90, 121, 123]);
  }
  const [x] = columns(points([minute(0, 1)], samples, 0, 3 * MINUTE, true), 1.5 * MINUTE);
  equal(x, [30, 84, 86, 121, 123]);
});
