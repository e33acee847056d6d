// A device at a glance: its state in words, what to do, how old it is and should be.

import type { Device } from "../api/types.ts";
import { attempt } from "../data/findings.ts";
import { age as ageWord, instant, lasting, period } from "../format.ts";
import { Marked } from "../parts/marked.tsx";
import { StateSign } from "../parts/marks.tsx";
import { remedy, said } from "../words/catalogue.ts";
import { t } from "../words/index.ts";
import { standing } from "./overview.tsx";

interface HeadProps {
  name: string;
  device: Device;
  now: number;
  /** When this page has last seen a value of it. */
  seen: number | null;
}

export function Head({ name, device, now, seen }: HeadProps) {
  const { state, tone, age } = standing(device, now, seen);
  const event = state === "offline" || state === "unanswered" ? `device.${state}` : "device.degraded";
  const since = device.unanswered ?? device.since;
  const advice = device.do === null ? null : remedy(event, device.causes, device.reason, device.do);
  return (
    <section class="device" aria-labelledby="device">
      <h1 id="device">
        <a href="#/" class="back" aria-label={t("to_overview")}>←</a>
        {name}
        <StateSign state={state} tone={tone} />
        <small>{t("since", { time: instant(since, now), lasting: lasting((now - since) / 1000) })}</small>
      </h1>
      {device.description && <p>{device.description}</p>}
      {(device.reason || advice) && state !== "disabled" && (
        <dl class={`reason ${tone}`}>
          {device.reason && <Line word={t("why")} text={said(device.reason.split(" -> ")[0]!)} />}
          {device.next_attempt !== null && <Line word={t("next")} text={attempt(device.next_attempt, now)} />}
          {advice && <Line word={t("do")} text={advice} />}
        </dl>
      )}
      <dl class="figures">
        <Fact word={t("last_good")} text={device.last_good === null ? t("no_good") : instant(device.last_good, now)} />
        {age !== null && <Fact word={t("age")} text={ageWord(age)} />}
        {device.interval_ms !== null && <Fact word={t("interval")} text={pace(device, device.interval_ms)} />}
        {device.protocol && <Fact word={t("protocol")} text={device.protocol} />}
        {device.bus && <Fact word={t("bus")} text={device.bus} />}
        {device.location.length > 0 && <Fact word={t("location")} text={device.location.join(" / ")} />}
      </dl>
    </section>
  );
}

function pace(device: Device, interval: number): string {
  if (device.achieved_ms === null) return period(interval);
  return t("reached", { achieved: period(device.achieved_ms), interval: period(interval) });
}

function Line({ word, text }: { word: string; text: string }) {
  return (
    <div>
      <dt>{word}</dt>
      <dd>
        <Marked text={text} />
      </dd>
    </div>
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
