// Times, sizes and values for people. Pure but for the language.

import { language, t } from "./words/index.ts";

const SIZES = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]] as const;

/** How long, in its two largest units: `58 min`, `3 h 5 min`. */
export function lasting(seconds: number): string {
  let left = Math.round(seconds);
  if (left < 1) return seconds > 0 ? t("less_than_second") : t("unit_s", { n: 0 });
  const parts: string[] = [];
  for (const [unit, size] of SIZES) {
    if (parts.length === 2) break;
    const n = Math.floor(left / size);
    left %= size;
    if (n) parts.push(t(`unit_${unit}`, { n }));
    else if (parts.length) break;
  }
  return parts.join(" ");
}

/** An age that is looked at again and again: one unit, so that it stands still. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 10) return t("unit_s", { n: seconds.toFixed(1) });
  for (const [unit, size] of SIZES) {
    if (seconds >= size * (unit === "s" ? 1 : 2)) return t(`unit_${unit}`, { n: Math.floor(seconds / size) });
  }
  return t("unit_s", { n: Math.floor(seconds) });
}

/** A period: `250 ms`, `1 s`, `2.5 s`, `10 min`. */
export function period(milliseconds: number): string {
  if (milliseconds < 1000) return t("unit_ms", { n: Math.round(milliseconds) });
  if (milliseconds < 60_000) return t("unit_s", { n: String(Number((milliseconds / 1000).toPrecision(3))) });
  return lasting(milliseconds / 1000);
}

/** An instant, local time: the time alone where it is the same day as `now`. */
export function instant(ts: number, now: number): string {
  const when = new Date(ts);
  const time = clockTime(ts);
  return when.toDateString() === new Date(now).toDateString() ? time : `${day(when)} ${time}`;
}

export function clockTime(ts: number): string {
  return ofDay(ts) + changes(ts);
}

export function minute(ts: number): string {
  return `${day(new Date(ts))} ${ofDay(ts).slice(0, 5)}${changes(ts)}`;
}

function ofDay(ts: number): string {
  return new Date(ts).toLocaleTimeString("en-GB", { hourCycle: "h23" });
}

/** ` +02:00` within two hours of a change to or from summer time, where a time of the day may come twice; else nothing. */
export function changes(ts: number, offset = (at: number) => -new Date(at).getTimezoneOffset()): string {
  const minutes = offset(ts);
  if ([-2, 2].every((hours) => offset(ts + hours * 3_600_000) === minutes)) return "";
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
  return ` ${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

function day(when: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
}

/** Bytes: `700 B`, `63.9 KiB`, `12 GiB`. */
export function size(bytes: number | null): string {
  if (bytes === null) return "?";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Number(value.toFixed(1))} ${units[unit]}`;
}

export function count(n: number): string {
  return n.toLocaleString(language());
}

/** A value of a tag. Numbers keep seven digits that count, a counter all before the point, never more than were sent. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") {
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e15) return value.toLocaleString(language());
    if (size >= 1e6 && size < 1e15) return Math.round(value).toLocaleString(language());
    if (size >= 1e-6 && size < 1e6) return value.toLocaleString(language(), { maximumSignificantDigits: 7 });
    return String(Number(value.toPrecision(7)));
  }
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

const UNITS: Record<string, string> = {
  Cel: "°C",
  "[degF]": "°F",
  deg: "°",
  Ohm: "Ω",
  By: "B",
  "1": "",
};

/** A unit as people write it; UCUM's own words are for programs. */
export function unitWord(unit: string): string {
  const plain = UNITS[unit] ?? unit.replace(/[{}]/g, "").replace(/^u(?=(?:m|s|g|L|A|V|S|F)\b)/, "µ");
  return plain.replace(/\b([cdkm]?m)([23])\b/g, (_, metre, n) => `${metre}${n === "2" ? "²" : "³"}`);
}

/** The name of a device within a text: set apart, also from a text in the other direction; Marked makes it a link. */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`;
}

/** `a`, `a, b`, `a, b, c and 37 more`. */
export function listed(names: readonly string[], most = 3): string {
  const first = names.slice(0, most).join(language() === "zh" ? "、" : ", ");
  return names.length > most ? `${first} ${t("and_more", { n: names.length - most })}` : first;
}
