// The gateway itself: disk, clock, version, configuration.

import type { ComponentChildren } from "preact";
import type { Reloads, Status } from "../api/types.ts";
import { instant, lasting, size } from "../format.ts";
import { Mark, type Tone } from "../parts/marks.tsx";
import { addressOf } from "../parts/hooks.ts";
import { useAnswer } from "../parts/answers.ts";
import { t } from "../words/index.ts";

/** A clock that differs by more is worth a word, milliseconds; a floor that is further away is not, seconds. */
const SKEW = 30_000;
const SOON = 7 * 86_400;

export function Gateway({ status, now, skew }: { status: Status; now: number; skew: number }) {
  const { disk, clock, agent } = status;
  const low = disk.free_bytes !== null && disk.free_bytes < disk.floor_bytes;
  const differs = Math.abs(skew) > SKEW;
  const rejected = agent.config.attempted !== agent.config.effective || agent.config.error !== null;
  const reload = useAnswer<Reloads>("api/v1/reloads", agent.config.effective).body?.reloads
    .find((one) => one.result === "applied")?.ts ?? null;
  return (
    <section aria-labelledby="gateway">
      <div class="head">
        <h2 id="gateway">{t("gateway")}</h2>
      </div>
      <dl class="gateway">
        {disk.free_bytes !== null && (
          <Fact word={t("disk")} tone={low ? "bad" : null}>
            {t("disk_free", { free: size(disk.free_bytes) })}
            <small>
              {t("disk_floor", { floor: size(disk.floor_bytes) })}
              {disk.floor_seconds !== null && disk.floor_seconds < SOON &&
                `${t("comma")}${t("disk_floor_in", { lasting: lasting(disk.floor_seconds) })}`}
            </small>
          </Fact>
        )}
        <Fact word={t("clock")} tone={clock.synced ? (differs ? "warn" : null) : "bad"}>
          {t(clock.synced ? "clock_set" : "clock_not_set")}
          {differs && <small>{t("clock_differs", { lasting: lasting(Math.abs(skew) / 1000) })}</small>}
        </Fact>
        <Fact word={t("agent")} tone={null}>
          <a href={addressOf("device", "_agent")}>{agent.version}</a>
          <small>{t("up_for", { lasting: lasting((now - status.started) / 1000) })}</small>
        </Fact>
        <Fact word={t("config_hash")} tone={rejected ? "bad" : null}>
          <a href={addressOf("configuration")}>
            <code>{agent.config.effective.slice(0, 8)}</code>
          </a>
          <small>
            {reload === null ? t("config_since_start") : t("config_changed", { time: instant(reload, now) })}
          </small>
        </Fact>
        {agent.shard !== "0/1" && <Fact word={t("shard")} tone={null}>{agent.shard}</Fact>}
      </dl>
    </section>
  );
}

function Fact({ word, tone, children }: { word: string; tone: Tone | null; children: ComponentChildren }) {
  return (
    <div>
      <dt>{word}</dt>
      <dd class={tone ?? ""}>
        {tone && <Mark tone={tone} />}
        {children}
      </dd>
    </div>
  );
}
