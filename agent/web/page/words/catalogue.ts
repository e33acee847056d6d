// What the agent says in English, in the language of the reader: remedies and meanings of events, common reasons.

import events from "./events.zh.json" with { type: "json" };
import { language, t } from "./index.ts";
import { reasons } from "./reasons.ts";

const known: Record<string, { meaning: string; remedy?: string }> = events.events;
const causes: Record<string, string> = events.causes;

/** What to do. Where the reason itself tells, that counts; else the catalogue, for a device by its causes. */
export function remedy(
  event: string,
  why: readonly string[],
  reason: string | null,
  own: string | null,
): string | null {
  if (own === null || reason?.includes(" -> ")) return own;
  if (language() === "en") return own.replaceAll("`reason`", t("the_line_why"));
  if (why.includes("misconfigured")) return known["component.failed"]?.remedy ?? own;
  const parts = event === "device.degraded" ? why.flatMap((cause) => causes[cause] ?? []) : [];
  return (parts.length ? parts.join("") : known[event]?.remedy) ?? own;
}

export function meaning(event: string, own: string): string {
  return language() === "en" ? own : known[event]?.meaning ?? own;
}

export function remedyOf(event: string, own: string | undefined): string | undefined {
  return language() === "en" || own === undefined ? own : known[event]?.remedy ?? own;
}

/** A reason of the agent, part by part. What is not known stays as it was said: it may be a device's own words. */
export function said(reason: string | null): string {
  if (reason === null) return language() === "en" ? "no reason given" : "没有给出原因";
  if (language() === "en") return reason;
  return reason.split("; ").map(translated).join("；");
}

function translated(part: string): string {
  for (const [pattern, text] of reasons) {
    const match = pattern.exec(part);
    if (match) return text.replace(/\$(\d)/g, (_, group) => match[Number(group)] ?? "");
  }
  return part;
}
