// Times, sizes and values read as people write them.

import { age, changes, lasting, period, shown, size, unitWord } from "./format.ts";
import { equal } from "./testing.ts";

Deno.test("how long: the two largest units", () => {
  equal([0, 0.4, 58, 3480, 11_100, 187_200].map(lasting), [
    "0 s",
    "less than a second",
    "58 s",
    "58 min",
    "3 h 5 min",
    "2 d 4 h",
  ]);
});

Deno.test("an age stands in one unit", () => {
  equal([400, 9_940, 61_000, 150_000, 7_200_000].map(age), ["0.4 s", "9.9 s", "61 s", "2 min", "2 h"]);
});

Deno.test("a time of the day that comes twice has its offset", () => {
  const HOUR = 3_600_000;
  const offset = (at: number) => at < 100 * HOUR ? 120 : 60;
  equal([97, 99, 100, 101, 102].map((hour) => changes(hour * HOUR, offset)), ["", " +02:00", " +01:00", " +01:00", ""]);
  equal(changes(0, (at) => at < 0 ? -210 : -150), " -02:30");
});

Deno.test("periods and sizes", () => {
  equal([250, 1000, 2500, 600_000].map(period), ["250 ms", "1 s", "2.5 s", "10 min"]);
  equal([700, 65_433, 12 * 2 ** 30].map(size), ["700 B", "63.9 KiB", "12 GiB"]);
});

Deno.test("no digit is made up, none that was sent as text is lost", () => {
  equal(
    [0.1 + 0.2, 61.2, 1500, 1717.57, 2.5e-9, 3.3999999521443642e38, "9223372036854775807", null, true, [1, 2]].map(
      shown,
    ),
    [
      "0.3",
      "61.2",
      "1,500",
      "1,717.57",
      "2.5e-9",
      "3.4e+38",
      "9223372036854775807",
      "–",
      "true",
      "[1,2]",
    ],
  );
  equal([123_456_789.123, -12_345_678.9, 999_999.96].map(shown), ["123,456,789", "-12,345,679", "1,000,000"]);
});

Deno.test("units stand as people write them", () => {
  equal(["Cel", "m3/h", "um", "1/min", "By", "item3", "units", "{piece}", "1"].map(unitWord), [
    "°C",
    "m³/h",
    "µm",
    "1/min",
    "B",
    "item3",
    "units",
    "piece",
    "",
  ]);
});
