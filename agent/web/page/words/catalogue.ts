// What the agent says in English, in the language of the reader: remedies and meanings of events, common reasons.

import events from "./events.zh.json" with { type: "json" };
import { language, t } from "./index.ts";
import { reasons } from "./reasons.ts";

const known: Record<string, { meaning: string; remedy?: string }> = events.events;
/** What has several parts and is known as a whole. */
const LONG = reasons.filter(([pattern]) => pattern.source.includes("; "));
const causes: Record<string, string> = events.causes;

/** What to do. Where the reason itself tells, that counts; else the catalogue, for a device by its causes. */
export function remedy(
  event: string,
  why: readonly string[],
  reason: string | null,
  own: string | null,
): string | null {
  if (own === null || reason?.endsWith(` -> ${own}`)) return own && said(own);
  return general(event, why, own).replaceAll("`reason`", t("the_line_why"));
}

function general(event: string, why: readonly string[], own: string): string {
  if (language() === "en") return own;
  if (why.includes("misconfigured")) return known["component.failed"]?.remedy ?? own;
  const parts = event === "device.degraded" ? why.flatMap((cause) => causes[cause] ?? []) : [];
  return (parts.length ? parts.join("") : known[event]?.remedy) ?? own;
}

/** What an event means; where it names one of its fields, what stands there is told instead. */
export function meaning(event: string, own: string, fields: Record<string, unknown>): string {
  const text = language() === "en" ? own : known[event]?.meaning ?? own;
  return text.replace(/`(\w+)`/g, (name, field) => field in fields ? spoken(fields[field]) : name);
}

/** A field of an event in words. */
export function spoken(value: unknown): string {
  return typeof value === "string" ? said(value) : JSON.stringify(value);
}

export function remedyOf(event: string, own: string | undefined): string | undefined {
  return language() === "en" || own === undefined ? own : known[event]?.remedy ?? own;
}

/** A reason of the agent. What is not known stays as it was said: it may be a device's own words. */
export function said(reason: string | null): string {
  if (reason === null) return language() === "en" ? "no reason given" : "没有给出原因";
  return language() === "en" ? reason : inChinese(reason);
}

/** Exported for the tests. */
export function inChinese(reason: string): string {
  const hint = reason.indexOf(" -> ");
  if (hint > 0) return `${inChinese(reason.slice(0, hint))} → ${inChinese(reason.slice(hint + 4))}`;
  return filled(reason, LONG) ?? reason.split("; ").map((part) => filled(part, reasons) ?? part).join("；");
}

function filled(reason: string, known: typeof reasons): string | null {
  for (const [pattern, text] of known) {
    const match = pattern.exec(reason);
    if (match) return text.replace(/\$(\d)/g, (_, group) => inChinese(match[Number(group)] ?? ""));
  }
  return null;
}
