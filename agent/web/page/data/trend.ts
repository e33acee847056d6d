// The course of one tag: rollups of a minute, and behind them what this page saw itself. Pure.

import type { Sample } from "./values.ts";

/** Start, smallest, time-weighted mean, largest, last value, milliseconds it was good. */
export type Minute = [number, number | null, number | null, number | null, unknown, number];

export const MINUTE = 60_000;

export interface Point {
  ts: number;
  /** How long it stands for, milliseconds. */
  lasts: number;
  min: number | null;
  mean: number | null;
  max: number | null;
  last: unknown;
  /** Share of its time that was good. */
  good: number;
  quality: "good" | "part" | "uncertain" | "bad" | "gap";
}

/** Where the line is not to be believed, for the background. */
export interface Span {
  from: number;
  to: number;
  quality: "part" | "uncertain" | "bad" | "gap";
}

function ofMinute([ts, min, mean, max, last, goodMs]: Minute): Point {
  const good = Math.min(1, goodMs / MINUTE);
  const quality = good > 0.98 ? "good" : good > 0 ? "part" : last === null ? "bad" : "uncertain";
  return { ts, lasts: MINUTE, min, mean, max, last, good, quality };
}

function ofSample([value, quality, ts]: Sample, next: number): Point {
  const number = typeof value === "boolean" ? Number(value) : typeof value === "number" ? value : null;
  const shown = quality === "bad" ? null : number;
  return {
    ts,
    lasts: next - ts,
    min: shown,
    mean: shown,
    max: shown,
    last: value,
    good: quality === "good" ? 1 : 0,
    quality,
  };
}

/** Minutes first; where the page has seen the tag itself since the last of them, each value. In order, within [from, to). */
export function points(
  minutes: readonly Minute[],
  seen: readonly Sample[],
  from: number,
  to: number,
  raw: boolean,
): Point[] {
  const firstSeen = seen[0]?.[2] ?? Infinity;
  const lastMinute = minutes.at(-1)?.[0] ?? -Infinity;
  // A short span shows every value that was seen, from the first whole minute on; a long one minutes, and only behind
  // them values. No minute overlaps values: time would run backwards on the chart.
  const begun = Math.floor(firstSeen / MINUTE) * MINUTE;
  const whole = minutes.some(([ts]) => ts === begun) ? begun + MINUTE : firstSeen;
  const border = Math.min(raw ? whole : Math.max(lastMinute + MINUTE, firstSeen), to);
  const rolled = minutes.filter(([ts]) => ts >= from && ts < border).map(ofMinute);
  const single = seen.filter(([, , ts]) => ts >= border && ts >= from && ts < to);
  return [...rolled, ...single.map((one, at) => ofSample(one, single[at + 1]?.[2] ?? Math.min(to, one[2] + MINUTE)))];
}

/** For how long nothing may stand between two points. While the agent runs there is a minute for each minute. */
function quiet(before: Point | undefined, point: Point, longest: number): number {
  return before?.lasts === MINUTE && point.lasts === MINUTE ? Math.min(longest, MINUTE / 2) : longest;
}

/** What is to be shaded: not good, in part good, and where nothing was read at all. */
export function spans(found: readonly Point[], from: number, to: number, longest: number): Span[] {
  const result: Span[] = [];
  const add = (one: Span) => {
    if (one.to <= one.from) return;
    const last = result.at(-1);
    if (last && last.quality === one.quality && one.from - last.to < 1000) last.to = one.to;
    else result.push(one);
  };
  let end = from;
  let before: Point | undefined;
  for (const point of found) {
    if (point.ts - end > quiet(before, point, longest)) add({ from: end, to: point.ts, quality: "gap" });
    before = point;
    const { quality } = point;
    if (quality !== "good") add({ from: point.ts, to: point.ts + point.lasts, quality });
    end = Math.max(end, point.ts + point.lasts);
  }
  if (to - end > longest) add({ from: end, to, quality: "gap" });
  return result;
}

/** Newest first, with a row where nothing was read. */
export function rows(found: readonly Point[], from: number, to: number, longest: number): Point[] {
  const gaps = spans(found, from, to, longest).filter((one) => one.quality === "gap").map((one): Point => ({
    ts: one.from,
    lasts: one.to - one.from,
    min: null,
    mean: null,
    max: null,
    last: null,
    good: 0,
    quality: "gap",
  }));
  return [...found, ...gaps].sort((a, b) => b.ts - a.ts);
}

/** Columns for the chart: seconds, then min, max and mean; a gap is a point without a value. */
export function columns(found: readonly Point[], longest: number): [number[], ...(number | null)[][]] {
  const x: number[] = [];
  const low: (number | null)[] = [];
  const high: (number | null)[] = [];
  const mean: (number | null)[] = [];
  let end: number | null = null;
  let before: Point | undefined;
  for (const point of found) {
    if (end !== null && point.ts - end > quiet(before, point, longest)) {
      x.push(end / 1000);
      low.push(null);
      high.push(null);
      mean.push(null);
    }
    // A minute is drawn in its middle.
    x.push((point.ts + (point.lasts === MINUTE ? MINUTE / 2 : 0)) / 1000);
    low.push(point.min);
    high.push(point.max);
    mean.push(point.mean);
    end = point.ts + point.lasts;
    before = point;
  }
  return [x, low, high, mean];
}
