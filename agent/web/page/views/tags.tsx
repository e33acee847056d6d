// All tags of a device: search, only bad, sort.

import { useMemo, useState } from "preact/hooks";
import type { Tag } from "../api/types.ts";
import type { Store } from "../data/store.ts";
import { age, shown, unitWord } from "../format.ts";
import { Mark, toneOf } from "../parts/marks.tsx";
import { Course } from "../parts/strip.tsx";
import { type Column, VirtualTable } from "../parts/virtual.tsx";
import { why } from "../data/tags.ts";
import { t } from "../words/index.ts";

export interface Row {
  name: string;
  tag: Tag;
}

export const ROW = 32;
const { compare: byText } = new Intl.Collator(undefined, { numeric: true });
const RANK = { bad: 0, uncertain: 1, good: 2 };

interface TagTableProps {
  store: Store;
  device: string;
  all: readonly Row[];
  now: number;
  chosen: string | null;
  onChoose: (tag: string) => void;
}

export function TagTable({ store, device, all, now, chosen, onChoose }: TagTableProps) {
  const [wanted, setWanted] = useState("");
  const [onlyBad, setOnlyBad] = useState(false);
  const [sorted, setSorted] = useState<{ key: string; down: boolean } | null>(null);
  const columns = useMemo(() => columnsOf(store, device, now), [device, now]);
  const needle = wanted.toLowerCase();
  let rows = all.filter(({ name, tag }) =>
    (!onlyBad || tag.quality !== "good") &&
    (!needle || `${name} ${tag.address ?? ""} ${tag.description ?? ""}`.toLowerCase().includes(needle))
  );
  const compare = columns.find((column) => column.key === sorted?.key)?.sort;
  if (compare && sorted) rows = rows.sort((a, b) => sorted.down ? compare(b, a) : compare(a, b));
  return (
    <section aria-labelledby="tags">
      <div class="head">
        <h2 id="tags">{t("tags")}</h2>
        <span class="counts">{t("tags_shown", { n: rows.length, all: all.length })}</span>
        <input
          type="search"
          aria-label={t("find_tag")}
          placeholder={t("find_tag")}
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
        <label>
          <input type="checkbox" checked={onlyBad} onChange={(event) => setOnlyBad(event.currentTarget.checked)} />
          {t("only_bad")}
        </label>
      </div>
      {rows.length
        ? (
          <VirtualTable
            label={t("tags")}
            rows={rows}
            columns={columns}
            id={(row) => row.name}
            rowHeight={ROW}
            sorted={sorted}
            onSort={(key) =>
              setSorted(sorted?.key !== key ? { key, down: false } : sorted.down ? null : { key, down: true })}
            sortLabel={(column) => t("sort_by", { column })}
            chosen={chosen}
            onChoose={(row) => onChoose(row.name)}
            rowClass={(row) => row.tag.quality}
          />
        )
        : <p class="empty">{t("no_tag_matches")}</p>}
    </section>
  );
}

function columnsOf(store: Store, device: string, now: number): Column<Row>[] {
  return [
    {
      key: "tag",
      word: t("tag"),
      class: "c-tag",
      sort: (a, b) => byText(a.name, b.name),
      cell: ({ name, tag }) => <span title={tag.description}>{name}</span>,
    },
    {
      key: "value",
      word: t("value"),
      class: "c-value",
      sort: (a, b) => Number(a.tag.value) - Number(b.tag.value) || byText(shown(a.tag.value), shown(b.tag.value)),
      cell: ({ tag }) => (
        <>
          <b>{shown(tag.value)}</b> {tag.unit && <small>{unitWord(tag.unit)}</small>}
          {tag.label && <small class="label">{tag.label}</small>}
        </>
      ),
    },
    {
      key: "quality",
      word: t("quality"),
      class: "c-quality",
      sort: (a, b) => RANK[a.tag.quality] - RANK[b.tag.quality],
      cell: ({ tag }) => (
        <span class={`sign ${toneOf(tag.quality)}`} title={why(tag) ?? ""}>
          <Mark tone={toneOf(tag.quality)} />
          {t(tag.quality)}
          {tag.quality !== "good" && <small class="why">{why(tag)}</small>}
        </span>
      ),
    },
    {
      key: "age",
      word: t("age"),
      class: "c-age",
      sort: (a, b) => b.tag.ts - a.tag.ts,
      cell: ({ tag }) => age(now - tag.ts),
    },
    {
      key: "course",
      word: "",
      class: "c-course",
      cell: ({ name }) => (
        <Course
          label={name}
          values={store.values.seen(device, name).slice(-60).map(([value, quality]) =>
            typeof value === "number" && quality !== "bad" ? value : null
          )}
        />
      ),
    },
    {
      key: "address",
      word: t("address"),
      class: "c-address",
      sort: (a, b) => byText(a.tag.address ?? "", b.tag.address ?? ""),
      cell: ({ tag }) => <code>{tag.address}</code>,
    },
  ];
}
