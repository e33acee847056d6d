// One device: its state, its tags, the trend of one of them, what was learned, what happened lately.

import { useMemo, useRef } from "preact/hooks";
import type { Tags } from "../api/types.ts";
import { current, Labels } from "../data/labels.ts";
import { agentNow } from "../data/store.ts";
import { useAnswer } from "../parts/answers.ts";
import { addressOf, useKnown, useValues } from "../parts/hooks.ts";
import { t } from "../words/index.ts";
import type { Shared } from "./app.tsx";
import { EventList } from "./events.tsx";
import { Head } from "./head.tsx";
import { Learned } from "./learned.tsx";
import { type Row, TagTable } from "./tags.tsx";
import { TrendPanel } from "./trend.tsx";

/** The name under which the agent is a device to itself. It is not among the devices of the status. */
export const SELF = "_agent";

export function DeviceView({ store, name, tag }: Shared & { name: string; tag: string | null }) {
  const known = useKnown(store);
  useValues(store);
  const device = known.status?.devices[name];
  const path = device || name === SELF ? `api/v1/devices/${encodeURIComponent(name)}/tags` : null;
  // Values come with the stream; labels, reasons and what is new in the catalogue are asked for.
  const labels = useRef(new Labels()).current;
  const wordless = useRef("");
  const asks = `${device?.cat} ${device?.state} ${device?.tags_bad} ${wordless.current}`;
  const tags = useAnswer<Tags>(path, asks, 10_000).body;
  useMemo(() => tags && labels.learn(tags), [tags]);
  if (!known.status) return null;
  if (!device && name !== SELF) return <Nothing text={t("no_device", { name })} />;
  const now = agentNow(known, Date.now());
  const rows: Row[] = Object.entries(tags?.tags ?? {}).map(([one, asked]) => ({
    name: one,
    tag: current(one, asked, store.values.newest(name, one), labels),
  }));
  const unnamed = rows.filter((row) => labels.of(row.name, row.tag.value) === undefined);
  wordless.current = unnamed.map((row) => `${row.name}=${String(row.tag.value)}`).join();
  const chosen = rows.find((row) => row.name === tag);
  return (
    <>
      {device ? <Head name={name} device={device} now={now} seen={store.values.heard(name)} /> : (
        <h1>
          <a href="#/" class="back" aria-label={t("to_overview")}>←</a> {t("the_agent_itself")}
        </h1>
      )}
      {chosen && (
        <TrendPanel
          key={chosen.name}
          store={store}
          device={name}
          name={chosen.name}
          tag={chosen.tag}
          kept={known.status.history}
          now={now}
        />
      )}
      {tags && (
        <TagTable
          store={store}
          device={name}
          all={rows}
          now={now}
          chosen={chosen?.name ?? null}
          onChoose={(one) => location.hash = addressOf("device", name, one)}
        />
      )}
      {device && <Learned device={device} />}
      {device && (
        <section aria-labelledby="recent">
          <div class="head">
            <h2 id="recent">{t("recent_events")}</h2>
          </div>
          <EventList device={name} level="info" now={now} most={20} refresh={device.since} />
        </section>
      )}
    </>
  );
}

function Nothing({ text }: { text: string }) {
  return (
    <p class="empty">
      {text} <a href="#/">{t("to_overview")}</a>
    </p>
  );
}
