// The word of a value stays beside it while values come without words.

import type { Tag } from "../api/types.ts";
import { equal } from "../testing.ts";
import { current, Labels } from "./labels.ts";

const state = (value: number, label: string | null, more: Partial<Tag> = {}): Tag => ({
  value,
  quality: "good",
  ts: 1000,
  src: null,
  unit: null,
  label,
  ...more,
});

Deno.test("the word of a value that comes again is there at once, one that is not known is asked for", () => {
  const labels = new Labels();
  const learn = (tag: Tag, cat = 1) =>
    labels.learn({ device: "press", ts: 0, cat, tags: { state: tag, n: state(5, null) } });
  learn(state(0, "stopped"));
  const tag = state(1, "running");
  learn(tag);
  equal(current("state", tag, [0, "good", 2000], labels), { ...state(0, "stopped"), ts: 2000 });
  equal([labels.of("state", 2), labels.of("n", 6)], [undefined, null]);
  learn(state(2, null));
  equal([labels.of("state", 2), labels.of("state", null)], [null, null]);
  learn(state(1, "idle"), 2);
  equal([labels.of("state", 1), labels.of("state", 0)], ["idle", undefined]);
});

Deno.test("why a value is uncertain stays while it changes, and goes with its quality", () => {
  const tag = state(9, null, { quality: "uncertain", reason: "out of range" });
  const labels = new Labels();
  equal(current("t", tag, [9.5, "uncertain", 2000], labels).reason, "out of range");
  equal(current("t", tag, [3, "good", 2000], labels).reason, undefined);
  equal(current("t", tag, [3, "good", 900], labels), tag);
});
