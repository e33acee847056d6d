// Publishers: state, backlog and its slope, room left as time, what was lost.

import type { Publisher, Status } from "../api/types.ts";
import { attempt } from "../data/findings.ts";
import { count, instant, lasting, size } from "../format.ts";
import { Mark, StateSign } from "../parts/marks.tsx";
import { said } from "../words/catalogue.ts";
import { t } from "../words/index.ts";

export function Publishers({ status, now }: { status: Status; now: number }) {
  const all = Object.entries(status.publishers);
  return (
    <section aria-labelledby="publishers">
      <div class="head">
        <h2 id="publishers">{t("publishers")}</h2>
      </div>
      {!all.length && <p class="empty">{t("no_publishers")}</p>}
      <ul class="publishers">
        {all.map(([name, one]) => <Card key={name} name={name} one={one} now={now} />)}
      </ul>
    </section>
  );
}

function Card({ name, one, now }: { name: string; one: Publisher; now: number }) {
  const share = one.limit_bytes ? Math.min(1, one.bytes / one.limit_bytes) : 0;
  const tone = one.full ? "bad" : share >= 0.7 ? "warn" : "good";
  return (
    <li class="publisher">
      <div class="title">
        <b>{name}</b>
        <StateSign state={one.state} />
        <small>
          {t("since", { time: instant(one.since, now), lasting: lasting((now - one.since) / 1000) })}
        </small>
      </div>
      {one.state !== "online" && (
        <p class="reason">
          {one.reason ? said(one.reason.split(" -> ")[0]!) : said(null)}
          {one.next_attempt !== null && <small>{attempt(one.next_attempt, now)}</small>}
        </p>
      )}
      <dl class="rows">
        <div>
          <dt>{t("waiting")}</dt>
          <dd>
            {count(one.records)} <small>{slope(one.records_per_s)}</small>
          </dd>
        </div>
        <div>
          <dt>{t("fill")}</dt>
          <dd class={tone}>
            {tone !== "good" && <Mark tone={tone} />}
            {size(one.bytes)} / {size(one.limit_bytes)} {one.full && <b>{t("full")}</b>}
            <meter min={0} max={1} low={0.7} high={0.9} value={share} aria-label={t("fill")} />
          </dd>
        </div>
        <div>
          <dt>{t("room")}</dt>
          <dd>{one.full ? "0" : one.room_seconds === null ? t("room_unknown") : lasting(one.room_seconds)}</dd>
        </div>
        <div>
          <dt>{t("lost_word")}</dt>
          <dd class={one.lost.records ? "bad" : ""}>
            {one.lost.records
              ? t("cost:lost", { n: one.lost.records, readings: count(one.lost.readings) })
              : t("lost_none")}
            {one.lost.from !== null && one.lost.to !== null && one.lost.records > 0 && (
              <small>{instant(one.lost.from, now)} – {instant(one.lost.to, now)}</small>
            )}
          </dd>
        </div>
        {one.quarantined > 0 && (
          <div>
            <dt>{t("quarantined")}</dt>
            <dd class="warn">{count(one.quarantined)}</dd>
          </div>
        )}
        {one.protocol !== null && (
          <div>
            <dt>{t("protocol")}</dt>
            <dd>MQTT {one.protocol}</dd>
          </div>
        )}
      </dl>
    </li>
  );
}

/** How the backlog moves, records a minute. */
function slope(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined) return "";
  const n = Math.round(Math.abs(perSecond) * 60);
  // A record that waits for its PUBACK is no backlog.
  if (n < 10) return t("slope_flat");
  return t(perSecond > 0 ? "slope_up" : "slope_down", { n });
}
