// Since when what is shown is old: a page whose agent is dead must not look alive.

import { agentNow, type Known } from "../data/store.ts";
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
      {known.statusAt > 0 && <span class="at">{clockTime(known.status?.ts ?? known.statusAt)}</span>}
    </span>
  );
}

export function LinkBand({ known }: { known: Known }) {
  const { phase, lostSince, heard, refusal } = known.link;
  if (phase === "lost" && refusal !== undefined) {
    return (
      <div class="linkband bad" role="alert">
        <Mark tone="bad" /> {t("login_refused", { why: refusal })}
      </div>
    );
  }
  if (phase === "lost" && lostSince !== null && heard !== null) {
    const now = Date.now();
    const ahead = agentNow(known, now) - now; // times are the agent's, as everywhere on the page
    const told = { time: instant(lostSince + ahead, now + ahead), lasting: lasting((now - lostSince) / 1000) };
    return (
      <div class="linkband bad" role="alert">
        <Mark tone="bad" /> {t("lost_band", told)}
      </div>
    );
  }
  // A historian has no stream: every ten seconds is its pace.
  if (phase === "polling" && !known.historian) {
    return <div class="linkband warn" role="status">{t("many_viewers")}</div>;
  }
  return null;
}
