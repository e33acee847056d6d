// A historian's status: rows, lag, holes, repair. Shown where the server says that it is one.

import { instant, lasting, shown } from "../format.ts";
import { found, type Key, t } from "../words/index.ts";

export function isHistorian(status: unknown): boolean {
  return typeof status === "object" && status !== null && "historian" in status;
}

export function HistorianView({ status }: { status: unknown }) {
  const { ts, ...rest } = status as Record<string, unknown>;
  const now = typeof ts === "number" ? ts : Date.now();
  return (
    <>
      <h1>{t("historian")}</h1>
      {Object.entries(rest).map(([name, value]) => (
        <section key={name} aria-label={word(name)}>
          <h2>{word(name)}</h2>
          <Part value={value} now={now} />
        </section>
      ))}
    </>
  );
}

function word(name: string): string {
  return found(name as Key) ?? name.replaceAll("_", " ");
}

function Part({ value, now }: { value: unknown; now: number }) {
  if (value === null || typeof value !== "object") return <p>{shown(value)}</p>;
  const entries = Object.entries(value);
  const parts = entries.filter(([, one]) => one !== null && typeof one === "object");
  const facts = entries.filter(([, one]) => one === null || typeof one !== "object");
  return (
    <>
      <dl class="figures">
        {facts.map(([name, one]) => (
          <div key={name}>
            <dt>{word(name)}</dt>
            <dd>{figure(name, one, now)}</dd>
          </div>
        ))}
      </dl>
      {parts.map(([name, one]) => (
        <details key={name} open={parts.length < 4}>
          <summary>{word(name)}</summary>
          <Part value={one} now={now} />
        </details>
      ))}
    </>
  );
}

function figure(name: string, value: unknown, now: number): string {
  if (typeof value === "number" && value > 1e12) return instant(value, now);
  if (typeof value === "number" && name.endsWith("_s")) return lasting(value);
  if (typeof value === "boolean") return t(value ? "yes" : "no");
  return shown(value);
}
