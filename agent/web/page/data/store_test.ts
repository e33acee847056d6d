// Who is told of what, and how often.

import { equal, someStatus } from "../testing.ts";
import { Store } from "./store.ts";

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
