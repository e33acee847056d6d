// One device: its state, its tags, the trend of one of them, what was learned, what happened lately.

import type { Tags } from "../api/types.ts";
import { agentNow } from "../data/store.ts";
import { instant, lasting, period } from "../format.ts";
import { useAnswer } from "../parts/answers.ts";
import { addressOf, useKnown, useValues } from "../parts/hooks.ts";
import { Marked } from "../parts/marked.tsx";
import { StateSign } from "../parts/marks.tsx";
import { remedy, said } from "../words/catalogue.ts";
import { t } from "../words/index.ts";
import { attempt } from "../data/findings.ts";
import type { Shared } from "./app.tsx";
import { EventList } from "./events.tsx";
import { Learned } from "./learned.tsx";
import { standing } from "./overview.tsx";
import { TagTable } from "./tags.tsx";
import { TrendPanel } from "./trend.tsx";

export function DeviceView({ store, name, tag }: Shared & { name: string; tag: string | null }) {
  const known = useKnown(store);
  useValues(store);
  const device = known.status?.devices[name];
  const path = device ? `/api/v1/devices/${encodeURIComponent(name)}/tags` : null;
  // Values come with the stream; labels, reasons and what is new in the catalogue are asked for.
  const tags = useAnswer<Tags>(path, `${device?.cat} ${device?.state} ${device?.tags_bad}`, 10_000).body;
  if (!known.status) return null;
  if (!device) {
    return (
      <p class="empty">
        {t("no_device", { name })} <a href="#/">{t("to_overview")}</a>
      </p>
    );
  }
  const now = agentNow(known, Date.now());
  const { state, tone, age } = standing(device, now);
  const event = device.state === "offline" ? "device.offline" : "device.degraded";
  const advice = device.do === null ? null : remedy(event, device.causes, device.reason, device.do);
  const trend = tag !== null && tags && tag in tags.tags ? tag : null;
  return (
    <>
      <section class="device" aria-labelledby="device">
        <h1 id="device">
          <a href="#/" class="back" aria-label={t("to_overview")}>←</a>
          {name}
          <StateSign state={state} tone={tone} />
          <small>
            {t("since", { time: instant(device.since, now), lasting: lasting((now - device.since) / 1000) })}
          </small>
        </h1>
        {device.description && <p>{device.description}</p>}
        {device.reason && state !== "disabled" && (
          <div class={`reason ${tone}`}>
            <p>{said(device.reason.split(" -> ")[0]!)}</p>
            {advice && (
              <p class="do">
                <b>{t("do")}</b> <Marked text={advice} />
              </p>
            )}
            {device.next_attempt !== null && (
              <p>
                <small>{attempt(device.next_attempt, now)}</small>
              </p>
            )}
          </div>
        )}
        <dl class="figures">
          <Fact
            word={t("last_good")}
            text={device.last_good === null ? t("no_good") : instant(device.last_good, now)}
          />
          {age !== null && <Fact word={t("age")} text={lasting(age / 1000)} />}
          {device.interval_ms !== null && (
            <Fact
              word={t("interval")}
              text={device.achieved_ms === null
                ? period(device.interval_ms)
                : t("reached", { achieved: period(device.achieved_ms), interval: period(device.interval_ms) })}
            />
          )}
          {device.protocol && <Fact word={t("protocol")} text={device.protocol} />}
          {device.location.length > 0 && <Fact word={t("location")} text={device.location.join(" / ")} />}
        </dl>
      </section>
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
      <Learned device={device} />
      <section aria-labelledby="recent">
        <div class="head">
          <h2 id="recent">{t("recent_events")}</h2>
        </div>
        <EventList device={name} level="info" now={now} most={20} refresh={device.since} />
      </section>
    </>
  );
}

function Fact({ word, text }: { word: string; text: string }) {
  return (
    <div>
      <dt>{word}</dt>
      <dd>{text}</dd>
    </div>
  );
}
