// The first thing to look at: all well, or what is wrong, since when, why, what it costs, what to do.

import { useState } from "preact/hooks";
import type { Status } from "../api/types.ts";
import { type Line, tell, type Told } from "../data/findings.ts";
import { instant, lasting } from "../format.ts";
import { Mark } from "../parts/marks.tsx";
import { Marked } from "../parts/marked.tsx";
import { t } from "../words/index.ts";

const FEW = 6;

export function Band({ status, now }: { status: Status; now: number }) {
  const since = status.well_since ?? now;
  const well = t("all_well_since", { lasting: lasting((now - since) / 1000), time: instant(since, now) });
  return <Verdict found={tell(status)} now={now} well={well} />;
}

/** What is wrong, most important first; `well`: what is told where nothing is. */
export function Verdict({ found, now, well }: { found: Told[]; now: number; well: string }) {
  const [all, setAll] = useState(false);
  const wrong = found.filter((one) => one.counts).length;
  const look = found.length - wrong;
  const look_at = t("things_to_look_at", { n: look });
  const heading = wrong ? t("things_wrong", { n: wrong }) : look ? look_at : well;
  return (
    <section class={`band ${wrong ? "bad" : look ? "warn" : "good"}`} aria-labelledby="verdict">
      <h1 id="verdict">
        <Mark tone={wrong ? "bad" : look ? "warn" : "good"} />
        {heading}
        {wrong > 0 && look > 0 && <small>{look_at}</small>}
        {!found.length && <small>{t("nothing_to_do")}</small>}
      </h1>
      {found.length > 0 && (
        <ol>
          {found.slice(0, all ? undefined : FEW).map((one) => <Trouble key={one.key} told={one} now={now} />)}
        </ol>
      )}
      {found.length > FEW && (
        <button type="button" class="quiet" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? t("show_less") : t("show_all", { n: found.length })}
        </button>
      )}
    </section>
  );
}

function Trouble({ told, now }: { told: Told; now: number }) {
  return (
    <li class={told.counts ? "bad" : "warn"}>
      <h2>
        <Mark tone={told.counts ? "bad" : "warn"} />
        <Marked text={told.title} />
        {told.since !== null && (
          <small>
            {t("since", { time: instant(told.since, now), lasting: lasting((now - told.since) / 1000) })}
          </small>
        )}
      </h2>
      <dl>{told.lines.map((line, at) => <Words key={at} line={line} />)}</dl>
    </li>
  );
}

function Words({ line }: { line: Line }) {
  return (
    <div class={line.word}>
      <dt>{t(line.word)}</dt>
      <dd>
        <Marked text={line.text} />
      </dd>
    </div>
  );
}
