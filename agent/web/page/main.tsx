// The page: what is wrong, since when, what it costs, what to do.

import "uplot.css";
import "./styles/page.css";
import { render } from "preact";
import { App } from "./views/app.tsx";
import { isHistorian } from "./data/historian.ts";
import { Store } from "./data/store.ts";
import { Connection, type World } from "./live/link.ts";
import { browser } from "./live/world.ts";
import { begin as beginLanguage } from "./words/index.ts";
import { begin as beginTheme } from "./parts/theme.ts";

beginLanguage();
beginTheme();
const store = new Store();
const world: World = {
  ...browser,
  open: (device, events) => {
    store.values.interrupted();
    return browser.open(device, events);
  },
};
const connection = new Connection(world, {
  link: (link) => {
    if (link.phase === "login") store.forget();
    store.change({ link });
  },
  status: (status) => {
    if (isHistorian(status)) store.change({ historian: status, statusAt: browser.now() });
    else store.take(status, browser.now());
  },
  values: (values) => {
    store.values.take(values.device, values.tags);
    store.tellValues();
  },
});
document.addEventListener("visibilitychange", () => connection.show(document.visibilityState === "visible"));
const root = document.getElementById("page");
if (root) render(<App store={store} connection={connection} />, root);
connection.start();
connection.show(document.visibilityState === "visible");
