// A historian's status: what it stores, how far behind it is, what is missing. Shown where the server says it is one.

import { type Historian, type Part, troubles } from "../data/historian.ts";
import { count, instant, lasting } from "../format.ts";
import { StateSign } from "../parts/marks.tsx";
import { t } from "../words/index.ts";
import { Verdict } from "./band.tsx";

export function HistorianView({ status, now }: { status: Historian; now: number }) {
  const { historian, database, sources, missing } = status;
  return (
    <>
      <Verdict found={troubles(status)} now={now} well={t("all_well")} />
      <div class="cards">
        <section aria-labelledby="stored">
          <h2 id="stored">{t("historian")} {historian.id}</h2>
          <dl class="gateway">
            <Fact
              word={t("lag")}
              text={historian.newest === null ? "–" : lasting(Math.max(0, now - historian.newest) / 1000)}
            />
            <Fact word={t("newest_row")} text={historian.newest === null ? "–" : instant(historian.newest, now)} />
            <Fact word={t("stored_at")} text={historian.stored_at === null ? "–" : instant(historian.stored_at, now)} />
            <Fact word={t("to_store")} text={count(historian.waiting)} />
            <Fact word={t("agents_online")} text={count(status.agents_online)} />
            <Fact word={t("holes")} text={`${count(missing.holes)} (${t("n_records", { n: missing.records })})`} />
            <Fact word={t("repair")} text={t(historian.leads ? "repair_leads" : "repair_waits")} />
            {historian.group !== null && <Fact word={t("group")} text={historian.group} />}
            <Fact word={t("version_word")} text={historian.version} />
          </dl>
        </section>
        <section aria-labelledby="database">
          <h2 id="database">{t("database")}</h2>
          <PartCard part={database} />
        </section>
        <section aria-labelledby="sources">
          <h2 id="sources">{t("sources")}</h2>
          {Object.entries(sources).map(([name, part]) => <PartCard key={name} name={name} part={part} />)}
        </section>
      </div>
    </>
  );
}

function PartCard({ name, part }: { name?: string; part: Part }) {
  return (
    <div class="publisher">
      <div class="title">
        {name && <b>{name}</b>}
        <StateSign state={part.state} />
      </div>
      <code>{part.where}</code>
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
