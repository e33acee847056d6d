// One device: its state, its tags, the trend of one of them, what was learned, what happened lately.

import type { Tags } from "../api/types.ts";
import { agentNow } from "../data/store.ts";
import { useAnswer } from "../parts/answers.ts";
import { addressOf, useKnown, useValues } from "../parts/hooks.ts";
import { t } from "../words/index.ts";
import type { Shared } from "./app.tsx";
import { EventList } from "./events.tsx";
import { Head } from "./head.tsx";
import { Learned } from "./learned.tsx";
import { TagTable } from "./tags.tsx";
import { TrendPanel } from "./trend.tsx";

/** The name under which the agent is a device to itself. It is not among the devices of the status. */
export const SELF = "_agent";

export function DeviceView({ store, name, tag }: Shared & { name: string; tag: string | null }) {
  const known = useKnown(store);
  useValues(store);
  const device = known.status?.devices[name];
  const path = device || name === SELF ? `api/v1/devices/${encodeURIComponent(name)}/tags` : null;
  // Values come with the stream; labels, reasons and what is new in the catalogue are asked for.
  const tags = useAnswer<Tags>(path, `${device?.cat} ${device?.state} ${device?.tags_bad}`, 10_000).body;
  if (!known.status) return null;
  if (!device && name !== SELF) return <Nothing text={t("no_device", { name })} />;
  const now = agentNow(known, Date.now());
  const trend = tag !== null && tags && tag in tags.tags ? tag : null;
  return (
    <>
      {device ? <Head name={name} device={device} now={now} seen={store.values.heard(name)} /> : (
        <h1>
          <a href="#/" class="back" aria-label={t("to_overview")}>←</a> {t("the_agent_itself")}
        </h1>
      )}
      {trend !== null && tags && (
        <TrendPanel
          key={trend}
          store={store}
          device={name}
          name={trend}
          tag={tags.tags[trend]!}
          kept={known.status.history}
          now={now}
        />
      )}
      {tags && (
        <TagTable
          store={store}
          tags={tags}
          now={now}
          chosen={trend}
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
