// What is wrong, in words: the findings of a status, the same of several parts told once. Pure but for the language.

import type { BadTags, Cost, Finding, Status } from "../api/types.ts";
import { count, instant, isolated, lasting, listed, period } from "../format.ts";
import { remedy, said } from "../words/catalogue.ts";
import { found, type Key, language, t } from "../words/index.ts";

export interface Told {
  key: string;
  /** Something is lost or missing; else it is only to be looked at. */
  counts: boolean;
  title: string;
  since: number | null;
  lines: Line[];
  /** Devices or publishers it is about, to go to. */
  names: string[];
  what: Finding["what"];
}

export interface Line {
  word: "why" | "cost" | "bad_tags_line" | "next" | "do";
  text: string;
}

/** The order is that of the status: urgency. Devices behind a lost bus are told with their bus. */
export function tell(status: Status): Told[] {
  const buses = new Map<string, string[]>();
  for (const one of status.wrong) {
    if (one.behind && one.name) buses.set(one.behind, [...(buses.get(one.behind) ?? []), one.name]);
  }
  const groups = new Map<string, Finding[]>();
  for (const one of status.wrong) {
    if (one.behind && status.wrong.some((bus) => bus.what === "bus" && bus.name === one.behind)) continue;
    const alike = [one.event, one.what, one.counts, one.do, (one.why ?? "").replace(/\d+/g, "#"), state(one, status)];
    const key = one.what === "device" ? JSON.stringify(alike) : `${one.event} ${one.name}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups].map(([key, group]) => told(key, group, status, buses));
}

function told(key: string, group: Finding[], status: Status, buses: Map<string, string[]>): Told {
  const first = group[0]!;
  const names = sorted(group.flatMap((one) => one.name ?? []));
  const behind = first.what === "bus" ? sorted(buses.get(first.name ?? "") ?? []) : [];
  const starts = group.flatMap((one) => one.since ?? []);
  return {
    key,
    counts: first.counts,
    title: title(first, names, status),
    since: starts.length ? Math.min(...starts) : null,
    lines: [...lines(first, group, behind, status)],
    names: first.what === "bus" ? behind : names,
    what: first.what,
  };
}

function sorted(names: string[]): string[] {
  return names.sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
}

function state(one: Finding, status: Status): string {
  const part = one.what === "publisher" ? status.publishers[one.name ?? ""] : status.devices[one.name ?? ""];
  return part?.state ?? "offline";
}

/** A state in words; what a later agent may call otherwise stands as it is. */
export function stateWord(state: string): string {
  return found(state) ?? state;
}

function title(first: Finding, names: string[], status: Status): string {
  const n = names.length;
  const named = first.what === "device" ? names.map(isolated) : names;
  const values = { n, names: listed(named), state: stateWord(state(first, status)) };
  if (first.what === "bus") return t("bus_lost", values);
  if (first.event === "device.unanswered") return t(n > 1 ? "devices_unanswered" : "device_unanswered", values);
  if (first.what === "device") {
    const held = state(first, status) === "online";
    return t(held ? (n > 1 ? "devices_held_up" : "device_held_up") : n > 1 ? "devices_are" : "device_is", values);
  }
  if (first.event === "publisher.offline") return t("publisher_is", values);
  if (first.event === "outbox.dropped" && status.publishers[first.name ?? ""]?.full) return t("outbox_full", values);
  return found(`title:${first.event}`, values) ?? [first.event, ...names].join(" ");
}

function* lines(first: Finding, group: Finding[], behind: string[], status: Status): Generator<Line> {
  if (first.why) {
    const differs = group.some((one) => one.why !== first.why);
    yield { word: "why", text: said(withoutHint(first.why)) + (differs ? ` ${t("and_the_like")}` : "") };
  }
  if (group.length === 1) {
    // "2 of 15 tags are bad" stands under Why already.
    const told = first.costs.filter((one) => one.kind !== "bad_tags" || !first.causes.includes("tags"));
    const costs = told.map((one) => cost(one, status.ts));
    if (behind.length) costs.push(listed(behind.map(isolated), 6));
    if (costs.length) yield { word: "cost", text: costs.join(language() === "zh" ? "；" : "; ") };
    const device = first.what === "device" ? status.devices[first.name ?? ""] : undefined;
    for (const bad of device?.bad.slice(0, 3) ?? []) {
      const more = bad.tags > bad.examples.length ? ` ${t("and_more", { n: bad.tags - bad.examples.length })}` : "";
      yield { word: "bad_tags_line", text: `${bad.examples.join(", ")}${more}: ${said(bad.reason ?? bad.code)}` };
    }
    const next = (device ?? (first.what === "publisher" ? status.publishers[first.name ?? ""] : null))?.next_attempt;
    if (next) yield { word: "next", text: attempt(next, status.ts) };
  }
  for (const [name, bad] of group.length > 1 ? worst(group, status) : []) {
    yield { word: "bad_tags_line", text: `${isolated(name)}, ${bad.examples[0]}: ${said(bad.reason ?? bad.code)}` };
  }
  const text = remedy(first.event, first.causes, reason(first, status), first.do);
  if (text) yield { word: "do", text };
}

/** Why, with what to do where the reason itself tells. */
function reason(one: Finding, status: Status): string | null {
  const publisher = one.what === "publisher" ? status.publishers[one.name ?? ""] : undefined;
  const part = one.what === "device" ? status.devices[one.name ?? ""] : publisher;
  const all = [part?.reason, ...Object.values(publisher?.refused ?? {})];
  return all.find((said) => said?.endsWith(` -> ${one.do}`)) ?? one.why;
}

/** A bad tag of each of the first few devices: what they have in common is a number of them, and not why. */
function worst(group: Finding[], status: Status): [string, BadTags][] {
  const found = group.map((one) => [one.name ?? "", status.devices[one.name ?? ""]?.bad[0]] as const);
  return found.filter((one): one is [string, BadTags] => one[1] !== undefined).slice(0, 3);
}

/** When something lost is tried again. */
export function attempt(next: number, now: number): string {
  return next - now < 1000 ? t("next_attempt_now") : t("next_attempt", { lasting: lasting((next - now) / 1000) });
}

/** One figure of what something costs. */
export function cost(one: Cost, now: number): string {
  const since = one.since ?? null;
  const time = since === null ? "" : instant(since, now);
  const values = {
    n: one.count ?? 0,
    count: one.count ?? 0,
    of: one.of ?? 0,
    readings: count(one.readings ?? 0),
    time,
    lasting: lasting(one.seconds ?? (since === null ? 0 : (now - since) / 1000)),
    ms: period(one.ms ?? 0),
    expected: period(one.expected_ms ?? 0),
  };
  let key: Key = `cost:${one.kind}`;
  if (one.kind === "no_value" && since === null) key = "cost:no_value_yet";
  if (one.kind === "lost" && since !== null) key = "cost:lost_since";
  if (one.kind === "waiting" && since === null) key = "cost:waiting_none";
  return t(key, values);
}

function withoutHint(why: string): string {
  return why.split(" -> ")[0]!;
}
