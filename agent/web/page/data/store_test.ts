// Who is told of what, and how often.

import { equal, someStatus } from "../testing.ts";
import { Store } from "./store.ts";
import { Values } from "./values.ts";

Deno.test("a phase and the first status are told at once, all else together a moment later", async () => {
  const store = new Store();
  const told: string[] = [];
  store.listen(() => told.push("known"));
  const values = new Promise<void>((then) =>
    store.listenValues(() => {
      told.push("values");
      then();
    })
  );
  store.take(someStatus, 1);
  const link = { phase: "live" as const, heard: 1, lostSince: null };
  store.change({ link });
  equal(told, ["known", "known"]);
  store.take(someStatus, 2);
  store.change({ link: { ...link, heard: 2 } });
  store.tellValues();
  store.tellValues();
  equal(told.length, 2);
  await values;
  equal(told, ["known", "known", "known", "values"]);
});

Deno.test("the word of a value is remembered until the configuration changes", () => {
  const store = new Store();
  const told = (words: Record<string, [unknown, string]>, effective: string) =>
    store.take(
      { ...someStatus, agent: { config: { effective } }, devices: { press: { words, causes: [] } } } as never,
      1,
    );
  told({ state: [1, "running"] }, "a");
  told({ state: [0, "stopped"] }, "a");
  equal([store.words.get("press/state/1"), store.words.get("press/state/0")], ["running", "stopped"]);
  told({ state: [0, "off"] }, "b");
  equal([store.words.get("press/state/1"), store.words.get("press/state/0")], [undefined, "off"]);
});

Deno.test("a trend begins anew where the stream was closed, and a course is broken there", () => {
  const values = new Values();
  for (const ts of [1000, 2000]) values.take("press", { oil: [ts, "good", ts], still: [1, "good", 1000] });
  values.interrupted();
  values.interrupted();
  for (const ts of [9000, 9500]) values.take("press", { oil: [ts, "good", ts], still: [1, "good", 1000] });
  equal(values.unbroken("press", "oil").map(([, , ts]) => ts), [9000, 9500]);
  equal(values.seen("press", "oil").map(([value]) => value), [1000, 2000, undefined, 9000, 9500]);
  equal(values.unbroken("press", "still"), []);
});
