// Devices as a dense grid, publishers, and the gateway itself.

import { useState } from "preact/hooks";
import type { Device, Status } from "../api/types.ts";
import { agentNow, type Store } from "../data/store.ts";
import { age, period, shown, unitWord } from "../format.ts";
import { addressOf, useKnown, useValues } from "../parts/hooks.ts";
import { Mark, type Tone, toneOf } from "../parts/marks.tsx";
import { Course, Strip } from "../parts/strip.tsx";
import { stateWord } from "../data/findings.ts";
import { t } from "../words/index.ts";
import { Gateway } from "./gateway.tsx";
import { Publishers } from "./publishers.tsx";

export function Overview({ store }: { store: Store }) {
  const known = useKnown(store);
  const { status } = known;
  if (!status) return null;
  const now = agentNow(known, Date.now());
  return (
    <div class="columns">
      <Devices store={store} status={status} now={now} />
      <aside>
        <Publishers status={status} now={now} />
        <Gateway status={status} now={now} skew={known.statusAt - status.ts} />
      </aside>
    </div>
  );
}

/** What a device is shown as: its state, and whether what it says is old although it was good. */
export function standing(
  device: Device,
  now: number,
  seen: number | null,
): { state: string; tone: Tone; age: number | null } {
  if (device.causes.includes("disabled")) return { state: "disabled", tone: "off", age: null };
  if (device.unanswered !== null) return { state: "unanswered", tone: "warn", age: now - device.unanswered };
  const told = device.heard ?? device.last_good;
  const heard = told === null ? seen : Math.max(told, seen ?? 0);
  const passed = heard === null ? null : Math.max(0, now - heard);
  const late = device.stale_after_ms !== null && passed !== null && passed > device.stale_after_ms;
  if (device.state === "online" && late) return { state: "stale", tone: "old", age: passed };
  return { state: device.state, tone: toneOf(device.state), age: passed };
}

const ORDER = ["offline", "unanswered", "degraded", "stale", "online", "disabled"];

function Devices({ store, status, now }: { store: Store; status: Status; now: number }) {
  const [wanted, setWanted] = useState("");
  const [unwell, setUnwell] = useState(false);
  useValues(store);
  const all = Object.entries(status.devices).map(([name, device]) => ({
    name,
    device,
    ...standing(device, now, store.values.heard(name)),
  }));
  const numbers = ORDER.map((state) => [state, all.filter((one) => one.state === state).length] as const);
  const found = all
    .filter((one) => `${one.name} ${one.device.location.join("/")}`.toLowerCase().includes(wanted.toLowerCase()))
    .filter((one) => !unwell || (one.state !== "online" && one.state !== "disabled"))
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  return (
    <section aria-labelledby="devices">
      <div class="head">
        <h2 id="devices">{t("devices")}</h2>
        <span class="counts">
          {numbers.filter(([, n]) => n).map(([state, n]) => (
            <span key={state}>{t("count_states", { n, state: stateWord(state) })}</span>
          ))}
        </span>
        <input
          type="search"
          aria-label={t("find_device")}
          placeholder={t("find_device")}
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
        <label>
          <input type="checkbox" checked={unwell} onChange={(event) => setUnwell(event.currentTarget.checked)} />
          {t("only_unwell")}
        </label>
      </div>
      {!found.length && <p class="empty">{all.length ? t("none_match") : t("no_devices")}</p>}
      <ul class="grid">
        {found.map((one) => <Tile key={one.name} store={store} {...one} />)}
      </ul>
    </section>
  );
}

interface TileProps {
  store: Store;
  name: string;
  device: Device;
  state: string;
  tone: Tone;
  age: number | null;
}

function Tile({ store, name, device, state, tone, age: passed }: TileProps) {
  const interval = device.interval_ms;
  return (
    <li class={`tile ${tone}`}>
      <a href={addressOf("device", name)}>
        <span class="title">
          <Mark tone={tone} />
          <b>{name}</b>
          <span class={`age ${tone}`} title={interval === null ? "" : t("every", { interval: period(interval) })}>
            {passed === null ? "–" : age(passed)}
          </span>
        </span>
        <span class="facts">
          <span>{stateWord(state)}</span>
          {device.achieved_ms !== null && interval !== null
            ? (
              <span class="warn">
                {t("reached", { achieved: period(device.achieved_ms), interval: period(interval) })}
              </span>
            )
            : interval !== null && <span>{t("every", { interval: period(interval) })}</span>}
          {device.tags_bad > 0 && state !== "disabled" && state !== "offline"
            ? <span class="warn">{t("n_bad", { n: device.tags_bad })}</span>
            : <span>{t("n_tags", { n: device.tags })}</span>}
        </span>
        <Telling store={store} name={name} tags={device.telling} units={device.units} tone={tone} />
        <Strip name={name} steps={store.trails.get(name)?.steps ?? []} />
      </a>
    </li>
  );
}

interface TellingProps {
  store: Store;
  name: string;
  tags: string[];
  units: Record<string, string>;
  tone: Tone;
}

function Telling({ store, name, tags, units, tone }: TellingProps) {
  return (
    <>
      {tags.slice(0, 2).map((tag) => {
        const sample = store.values.newest(name, tag);
        const seen = store.values.seen(name, tag).map(([value, quality]) =>
          typeof value === "number" && quality !== "bad" ? value : null
        );
        return (
          <span class="telling" key={tag}>
            <span class="tag">{tag}</span>
            <Course values={seen} label={tag} />
            <span class="value">
              <b class={`${sample?.[1] ?? ""} ${tone}`}>
                {store.words.get(`${name}/${tag}/${sample?.[0]}`) ?? shown(sample?.[0])}
              </b>
              {units[tag] && sample && sample[0] !== null && <small>{unitWord(units[tag])}</small>}
            </span>
          </span>
        );
      })}
    </>
  );
}
