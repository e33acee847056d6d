// The frame around every view: name, ways, connection, language, colours.

import { useEffect, useState } from "preact/hooks";
import { agentNow, type Store } from "../data/store.ts";
import type { Connection } from "../live/link.ts";
import { addressOf, useAddress, useKnown } from "../parts/hooks.ts";
import { switchTo as switchTheme, type Theme, theme } from "../parts/theme.ts";
import { type Key, language, switchTo as switchLanguage, t } from "../words/index.ts";
import { Band } from "./band.tsx";
import { ConfigurationView } from "./configuration.tsx";
import { DeviceView, SELF } from "./device.tsx";
import { EventsView } from "./events.tsx";
import { HistorianView } from "./historian.tsx";
import { LinkBand, LinkSign } from "./link.tsx";
import { loggedIn, Login, logOut } from "./login.tsx";
import { Overview } from "./overview.tsx";

export interface Shared {
  store: Store;
  connection: Connection;
}

export function App({ store, connection }: Shared) {
  const known = useKnown(store);
  const address = useAddress();
  const [, again] = useState(0);
  const view = address[0] || "overview";
  const device = view === "device" ? address[1] ?? "" : null;
  const followed = device !== null && (device === SELF || (known.status !== null && device in known.status.devices));
  useEffect(() => connection.follow(followed ? device : null), [device, followed]);
  const { status, historian, link } = known;
  const name = status?.agent.id ?? historian?.historian.id ?? "edge-agent";
  useEffect(() => {
    const wrong = status?.wrong.filter((one) => one.counts).length ?? 0;
    document.title = `${link.phase === "lost" ? "✕ " : wrong ? `(${wrong}) ` : ""}${name}`;
  });
  const old = link.phase === "lost" || link.phase === "asleep";
  const shared = { store, connection };
  return (
    <div class={`frame ${old ? "old" : ""}`}>
      <a class="skip" href="#content" onClick={skip}>{t("skip")}</a>
      <header>
        <a class="name" href="#/">
          <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
            <path d="M3 18h6l3-10 6 17 3-11 2 4h6" />
          </svg>
          <b>{name}</b>
        </a>
        {link.phase !== "login" && <Ways view={view} historian={historian !== null} />}
        <div class="tools">
          <LinkSign known={known} />
          <Choices changed={() => again((n) => n + 1)} />
          {loggedIn() && link.phase !== "login" && (
            <button
              type="button"
              class="quiet"
              onClick={() => void logOut(connection)}
            >
              {t("log_out")}
            </button>
          )}
        </div>
      </header>
      <LinkBand known={known} />
      <main id="content" tabIndex={-1}>
        {link.phase === "login"
          ? <Login connection={connection} />
          : historian
          ? <HistorianView status={historian} now={known.statusAt} />
          : !status
          ? <p class="empty">{link.phase === "lost" ? t("lost_never") : t("loading")}</p>
          : <View {...shared} view={view} address={address} />}
      </main>
    </div>
  );
}

function View({ view, address, ...shared }: Shared & { view: string; address: string[] }) {
  const known = useKnown(shared.store);
  if (view === "overview" && known.status) {
    return (
      <>
        <Band
          status={known.status}
          now={known.link.phase === "lost" ? known.status.ts : agentNow(known, Date.now())}
        />
        <Overview store={shared.store} />
      </>
    );
  }
  if (view === "device") {
    return <DeviceView {...shared} key={address[1]} name={address[1] ?? ""} tag={address[2] ?? null} />;
  }
  if (view === "events") return <EventsView {...shared} device={address[1] ?? null} />;
  if (view === "configuration") return <ConfigurationView {...shared} />;
  return (
    <p class="empty">
      {t("not_found")} <a href="#/">{t("to_overview")}</a>
    </p>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function Ways({ view, historian }: { view: string; historian: boolean }) {
  const ways: [string, Key][] = historian
    ? [["overview", "historian"]]
    : [["overview", "overview"], ["events", "events"], ["configuration", "configuration"]];
  return (
    <nav aria-label={t("to_overview")}>
      {ways.map(([way, key]) => (
        <a
          key={way}
          href={way === "overview" ? "#/" : addressOf(way)}
          aria-current={way === view || (view === "device" && way === "overview") ? "page" : undefined}
        >
          {t(key)}
        </a>
      ))}
    </nav>
  );
}

function Choices({ changed }: { changed: () => void }) {
  return (
    <>
      <button
        type="button"
        class="quiet"
        lang={language() === "en" ? "zh-CN" : "en"}
        onClick={() => {
          switchLanguage(language() === "en" ? "zh" : "en");
          changed();
        }}
      >
        {language() === "en" ? "中文" : "English"}
      </button>
      <select
        aria-label={t("theme")}
        value={theme()}
        onChange={(event) => {
          switchTheme(event.currentTarget.value as Theme);
          changed();
        }}
      >
        {(["auto", "light", "dark"] as const).map((one) => <option key={one} value={one}>{t(`theme_${one}`)}</option>)}
      </select>
    </>
  );
}
