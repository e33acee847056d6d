// What the log said lately, each event with its meaning and what to do.

import { useState } from "preact/hooks";
import type { Events, LogEvent } from "../api/types.ts";
import { agentNow } from "../data/store.ts";
import { instant } from "../format.ts";
import { useAnswer } from "../parts/answers.ts";
import { addressOf, useKnown } from "../parts/hooks.ts";
import { Marked } from "../parts/marked.tsx";
import { Mark, type Tone } from "../parts/marks.tsx";
import { meaning, remedyOf, said, spoken } from "../words/catalogue.ts";
import { t } from "../words/index.ts";
import type { Shared } from "./app.tsx";

type Level = LogEvent["level"];

const LEVELS: readonly Level[] = ["debug", "info", "warning", "error"];
const TONES: Record<Level, Tone> = { debug: "off", info: "good", warning: "warn", error: "bad" };
const REFRESH = 5000;
/** So many are shown at once; the rest on demand. */
const PAGE = 200;

export function EventsView({ store, device }: Shared & { device: string | null }) {
  const known = useKnown(store);
  const [level, setLevel] = useState<Level>("info");
  const names = Object.keys(known.status?.devices ?? {});
  return (
    <section aria-labelledby="events">
      <div class="head">
        <h1 id="events">{t("events")}</h1>
        <label>
          {t("level")}{" "}
          <select value={level} onChange={(event) => setLevel(event.currentTarget.value as Level)}>
            {LEVELS.map((one) => <option key={one} value={one}>{t(`level_${one}`)}</option>)}
          </select>
        </label>
        <label>
          {t("device")}{" "}
          <select
            value={device ?? ""}
            onChange={(event) => {
              const name = event.currentTarget.value;
              location.hash = name ? addressOf("events", name) : addressOf("events");
            }}
          >
            <option value="">{t("all_devices")}</option>
            {names.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
      </div>
      <EventList device={device} level={level} now={agentNow(known, Date.now())} most={1000} refresh={null} />
    </section>
  );
}

interface ListProps {
  device: string | null;
  level: Level;
  now: number;
  most: number;
  /** Ask again at once when this changes. */
  refresh: unknown;
}

export function EventList({ device, level, now, most, refresh }: ListProps) {
  const [pages, setPages] = useState(1);
  const query = new URLSearchParams({ level, ...(device ? { device } : {}) });
  const asked = useAnswer<Events>(`api/v1/events?${query}`, refresh, REFRESH);
  if (!asked.body) return <p class="empty">{asked.pending ? t("loading") : t("no_events")}</p>;
  const events = asked.body.events.slice(0, most);
  if (!events.length) return <p class="empty">{t("no_events")}</p>;
  const visible = events.slice(0, pages * PAGE);
  return (
    <>
      <p class="note">{t("events_shown", { n: events.length })}</p>
      <ol class="events">{visible.map((one) => <Item key={identity(one)} one={one} now={now} alone={!!device} />)}</ol>
      {visible.length < events.length && (
        <button type="button" class="quiet" onClick={() => setPages(pages + 1)}>
          {t("show_all", { n: events.length })}
        </button>
      )}
    </>
  );
}

function identity(one: LogEvent): string {
  return `${one.ts} ${one.event} ${one.device} ${JSON.stringify(one.fields)}`;
}

function Item({ one, now, alone }: { one: LogEvent; now: number; alone: boolean }) {
  const advice = remedyOf(one.event, one.remedy);
  const tone = TONES[one.level];
  const about = alone ? null : subject(one);
  return (
    <li class={tone}>
      <details>
        <summary>
          <time dateTime={new Date(one.ts).toISOString()}>{instant(one.ts, now)}</time>
          <span class={`sign ${tone}`}>
            <Mark tone={tone} />
            {t(`level_${one.level}`)}
          </span>
          {about && <b>{about}</b>}
          <code>{one.event}</code>
          <span class="brief">{brief(one)}</span>
        </summary>
        <div class="detail">
          <p>
            <Marked text={meaning(one.event, one.meaning, one.fields)} />
          </p>
          {advice && (
            <p class="do">
              <b>{t("do")}</b> <Marked text={advice} />
            </p>
          )}
          <dl class="fields">
            {Object.entries(one.fields).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{spoken(value)}</dd>
              </div>
            ))}
          </dl>
        </div>
      </details>
    </li>
  );
}

/** What it happened to, where that has a name. */
function subject({ device, fields }: LogEvent): string | null {
  const named = device ?? fields.publisher ?? fields.bus ?? fields.source;
  return typeof named === "string" ? named : null;
}

/** The reason, or what it means: what tells most. */
function brief(one: LogEvent): string {
  const { reason } = one.fields;
  if (typeof reason === "string") return said(reason);
  return meaning(one.event, one.meaning, one.fields).replaceAll("`", "");
}
