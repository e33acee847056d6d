// The trend of one tag: 48 hours to ten minutes, as a chart and as the same data in a table.

import { useEffect, useRef, useState } from "preact/hooks";
import type { History, Tag } from "../api/types.ts";
import type { Store } from "../data/store.ts";
import { why } from "../data/tags.ts";
import { MINUTE, type Minute, type Point, points, rows, spans } from "../data/trend.ts";
import { clockTime, lasting, minute, shown, unitWord } from "../format.ts";
import { useAnswer } from "../parts/answers.ts";
import { Chart } from "../parts/chart.tsx";
import { addressOf } from "../parts/hooks.ts";
import { Marked } from "../parts/marked.tsx";
import { StateSign } from "../parts/marks.tsx";
import { VirtualTable } from "../parts/virtual.tsx";
import { t } from "../words/index.ts";

const SPANS = [["span_10m", 10], ["span_1h", 60], ["span_6h", 360], ["span_48h", 2880]] as const;
const REFRESH = 15_000;

interface TrendProps {
  store: Store;
  device: string;
  name: string;
  tag: Tag;
  /** Whether the agent keeps a history. */
  kept: boolean;
  now: number;
}

export function TrendPanel({ store, device, name, tag, kept, now }: TrendProps) {
  const [minutes, setMinutes] = useState<number>(kept ? 60 : 10);
  const [zoomed, setZoomed] = useState<[number, number] | null>(null);
  const [table, setTable] = useState(false);
  useEffect(() => {
    store.values.watch(device, name);
    return () => store.values.watch(device, null);
  }, [device, name]);
  const from = Math.floor(now / MINUTE) * MINUTE - minutes * MINUTE;
  const query = new URLSearchParams({
    device,
    tag: name,
    from: String(from),
    to: String(from + (minutes + 1) * MINUTE),
  });
  const asked = useAnswer<History>(kept ? `api/v1/history?${query}` : null, null, REFRESH);
  const known = useRef<Minute[]>([]);
  const fresh = asked.body?.[device]?.[name] as Minute[] | undefined;
  // Until the next minute's answer is there the last one stays.
  if (fresh) known.current = fresh;
  const to = now;
  const seen = store.values.unbroken(device, name);
  const found = points(known.current, seen, from, to, minutes <= 10);
  const longest = Math.max(1.5 * MINUTE, 3 * (typeof tag.interval === "number" ? tag.interval : 0));
  const [left, right] = zoomed ?? [from, to];
  const visible = zoomed ? found.filter((one) => one.ts + one.lasts >= left && one.ts <= right) : found;
  const unit = tag.unit === null ? null : unitWord(tag.unit);
  const numeric = found.some((one) => one.mean !== null);
  return (
    <section class="trend" aria-labelledby="trend">
      <div class="head">
        <h2 id="trend">{t("trend_of", { tag: name })} {unit && <small>{unit}</small>}</h2>
        <StateSign state={tag.quality} />
        {tag.quality !== "good" && <span class="why">{why(tag)}</span>}
        <div class="spans" role="group" aria-label={t("trend")}>
          {SPANS.map(([key, long]) => (
            <button
              key={key}
              type="button"
              aria-pressed={minutes === long && !zoomed}
              onClick={() => {
                setMinutes(long);
                setZoomed(null);
              }}
            >
              {t(key)}
            </button>
          ))}
        </div>
        <button type="button" aria-pressed={table} onClick={() => setTable(!table)}>
          {t(table ? "as_chart" : "as_table")}
        </button>
        <a class="button" href={addressOf("device", device)}>{t("close")}</a>
      </div>
      {!kept && (
        <p class="note">
          <Marked text={t("no_history")} />
        </p>
      )}
      {!found.length
        ? <p class="empty">{asked.pending && kept ? t("loading") : t("nothing_in_span")}</p>
        : table || !numeric
        ? <Numbers found={rows(visible, left, right, longest)} unit={unit} />
        : (
          <Chart
            found={found}
            spans={spans(found, from, to, longest)}
            from={left}
            to={right}
            longest={longest}
            unit={unit}
            label={t("trend_of", { tag: name })}
            onZoom={setZoomed}
          />
        )}
    </section>
  );
}

const ROW = 28;

function Numbers({ found, unit }: { found: readonly Point[]; unit: string | null }) {
  return (
    <VirtualTable
      label={t("as_table")}
      rows={found}
      rowHeight={ROW}
      id={(row) => `${row.quality} ${row.ts}`}
      sorted={null}
      onSort={() => undefined}
      sortLabel={(column) => column}
      rowClass={(row) => row.quality}
      columns={[
        {
          key: "ts",
          word: t("from"),
          class: "c-time",
          cell: (row) => row.lasts === MINUTE || row.quality === "gap" ? minute(row.ts) : clockTime(row.ts),
        },
        { key: "min", word: t("minimum"), class: "c-number", cell: (row) => shown(row.min) },
        { key: "mean", word: t("mean"), class: "c-number", cell: (row) => shown(row.mean) },
        { key: "max", word: t("maximum"), class: "c-number", cell: (row) => shown(row.max) },
        {
          key: "last",
          word: `${t("last")}${unit ? ` [${unit}]` : ""}`,
          class: "c-number",
          cell: (row) =>
            row.quality === "gap" ? t("nothing_read", { lasting: lasting(row.lasts / 1000) }) : shown(row.last),
        },
        { key: "good", word: t("good_share"), class: "c-number", cell: (row) => `${Math.round(row.good * 100)} %` },
      ]}
    />
  );
}
