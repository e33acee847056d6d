// What a historian answers at /api/v1/status, in place of an agent's status.

import { listed } from "../format.ts";
import { remedy, said } from "../words/catalogue.ts";
import { type Key, t } from "../words/index.ts";
import { type Told } from "./findings.ts";

export interface Part {
  where: string;
  state: string;
  reason: string | null;
  /** Of what is wrong with it: epoch milliseconds, and what to do. */
  since: number | null;
  do: string | null;
}

export interface Historian {
  historian: {
    id: string;
    version: string;
    group: string | null;
    /** It asks for holes; of a group one member does. */
    leads: boolean;
    state: string;
    reason: string | null;
    /** Newest reading stored, and when something was last stored: epoch milliseconds. */
    newest: number | null;
    stored_at: number | null;
    /** Messages that wait to be stored. */
    waiting: number;
  };
  database: Part;
  sources: Record<string, Part>;
  agents_online: number;
  /** `offline`: records of agents that are not online, by agent. */
  missing: { holes: number; records: number; offline?: Record<string, number> };
}

/** What is wrong: the database, then its sources, then what is missing. */
export function troubles({ database, sources, missing }: Historian): Told[] {
  const found = Object.entries(sources).map(([name, part]) => trouble("source", name, part));
  const told = [trouble("database", "", database), ...found].filter((one) => one !== null);
  if (missing.records) {
    const title = t("holes_open", { n: missing.records });
    const away = Object.keys(missing.offline ?? {});
    const lines = away.length ? [{ word: "do" as const, text: t("agents_away", { names: listed(away, 6) }) }] : [];
    told.push({ key: "missing", counts: false, title, since: null, lines, names: [], what: "agent" });
  }
  return told;
}

function trouble(kind: "database" | "source", name: string, part: Part): Told | null {
  if (part.reason === null) return null;
  const lines: Told["lines"] = [
    { word: "why", text: said(part.reason) },
    { word: "cost", text: t(`cost:${kind}_offline` as Key) },
  ];
  const advice = remedy(`historian.${kind}_offline`, [], null, part.do);
  if (advice) lines.push({ word: "do", text: advice });
  const title = t(`${kind}_offline` as Key, { names: name });
  return { key: `${kind} ${name}`, counts: true, title, since: part.since, lines, names: [], what: "agent" };
}

export function isHistorian(status: unknown): status is Historian {
  return typeof status === "object" && status !== null && "historian" in status;
}
