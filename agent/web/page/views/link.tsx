// Since when what is shown is old: a page whose agent is dead must not look alive.

import type { Known } from "../data/store.ts";
import { clockTime, instant, lasting } from "../format.ts";
import { Mark, type Tone } from "../parts/marks.tsx";
import { type Key, t } from "../words/index.ts";

const SIGNS: Record<Known["link"]["phase"], [Tone, Key]> = {
  connecting: ["off", "connecting"],
  live: ["good", "live"],
  polling: ["warn", "polling"],
  lost: ["bad", "lost"],
  login: ["off", "login"],
  asleep: ["old", "asleep"],
};

export function LinkSign({ known }: { known: Known }) {
  const [tone, key] = SIGNS[known.link.phase];
  return (
    <span class={`sign ${tone}`}>
      <Mark tone={tone} />
      {t(key)}
      {known.status && <span class="at">{clockTime(known.status.ts)}</span>}
    </span>
  );
}

export function LinkBand({ known }: { known: Known }) {
  const { phase, lostSince, heard } = known.link;
  if (phase === "lost" && lostSince !== null && heard !== null) {
    const now = Date.now();
    const told = { time: instant(lostSince, now), lasting: lasting((now - lostSince) / 1000) };
    return (
      <div class="linkband bad" role="alert">
        <Mark tone="bad" /> {t("lost_band", told)}
      </div>
    );
  }
  if (phase === "polling") return <div class="linkband warn" role="status">{t("many_viewers")}</div>;
  return null;
}
