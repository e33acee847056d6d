// The effective configuration, and what the last reloads changed.

import { useMemo } from "preact/hooks";
import type { Reload, Reloads } from "../api/types.ts";
import { agentNow } from "../data/store.ts";
import { instant } from "../format.ts";
import { useAnswer } from "../parts/answers.ts";
import { useKnown } from "../parts/hooks.ts";
import { Marked } from "../parts/marked.tsx";
import { StateSign } from "../parts/marks.tsx";
import { yaml } from "../data/yaml.ts";
import { found, t } from "../words/index.ts";
import type { Shared } from "./app.tsx";

export function ConfigurationView({ store }: Shared) {
  const known = useKnown(store);
  const config = known.status?.agent.config;
  const effective = useAnswer<Record<string, unknown>>("api/v1/config", config?.effective);
  const reloads = useAnswer<Reloads>(
    "api/v1/reloads",
    `${config?.effective} ${config?.attempted} ${config?.error}`,
    10_000,
  );
  const text = useMemo(() => effective.body && yaml(effective.body), [effective.body]);
  if (!config) return null;
  const now = agentNow(known, Date.now());
  return (
    <>
      <section aria-labelledby="configuration">
        <div class="head">
          <h1 id="configuration">{t("configuration")}</h1>
          <span class="counts">
            <span>
              {t("effective")} <code>{config.effective}</code>
            </span>
            {config.attempted !== config.effective && (
              <span>
                {t("attempted")} <code>{config.attempted}</code>
              </span>
            )}
          </span>
        </div>
        {config.error && <p class="reason bad">{config.error}</p>}
      </section>
      <section aria-labelledby="reloads">
        <h2 id="reloads">{t("reloads")}</h2>
        {reloads.body?.reloads.length
          ? <ol class="reloads">{reloads.body.reloads.map((one) => <Item key={one.ts} one={one} now={now} />)}</ol>
          : <p class="empty">{t("no_reloads")}</p>}
      </section>
      <section aria-labelledby="effective">
        <h2 id="effective">{t("effective")}</h2>
        <p class="note">
          <Marked text={t("config_note")} />
        </p>
        {text !== null
          ? <pre class="config" tabIndex={0}>{text}</pre>
          : <p class="empty">{t(effective.pending ? "loading" : "no_config")}</p>}
      </section>
    </>
  );
}

const TONES = { applied: "good", nothing: "off", refused: "bad" } as const;

function Item({ one, now }: { one: Reload; now: number }) {
  return (
    <li>
      <time dateTime={new Date(one.ts).toISOString()}>{instant(one.ts, now)}</time>
      <StateSign state={found(`reload_${one.result}`) ?? one.result} tone={TONES[one.result]} />
      <span>{one.asked_by}</span>
      <code>{one.hash}</code>
      {one.mistakes.length > 0 && <ul class="mistakes">{one.mistakes.map((line) => <li key={line}>{line}</li>)}</ul>}
      {one.differences !== null && <pre tabIndex={0}>{yaml(one.differences)}</pre>}
    </li>
  );
}
