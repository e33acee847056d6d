// The words of enumerated values. A stream brings values alone; the words come with the answers, and are remembered.

import type { Tag, Tags } from "../api/types.ts";
import type { Sample } from "./values.ts";

/** A tag of more values than these is asked for like all others: only some of a counter's values may have a word. */
const MOST = 64;

export class Labels {
  /** By tag, of those that have had a word: each value with its own; null: it has none. */
  #words = new Map<string, Map<unknown, string | null>>();
  #of = "";

  /** An answer. What was known of another device, or before its tags changed, does not count any more. */
  learn({ device, cat, tags }: Tags): void {
    const of = `${device} ${cat}`;
    if (of !== this.#of) this.#words.clear();
    this.#of = of;
    for (const [name, { value, label }] of Object.entries(tags)) {
      if (label !== null && !this.#words.has(name)) this.#words.set(name, new Map());
      this.#words.get(name)?.set(value, label);
    }
  }

  /** null: it has none; undefined: it may have one, and the tags are to be asked for. */
  of(name: string, value: unknown): string | null | undefined {
    const words = this.#words.get(name);
    if (!words || value === null) return null;
    return words.get(value) ?? (words.has(value) || words.size >= MOST ? null : undefined);
  }
}

/** What was asked for once, with the value that has come since. */
export function current(name: string, tag: Tag, sample: Sample | undefined, labels: Labels): Tag {
  if (!sample || sample[2] < tag.ts) return tag;
  const [value, quality, ts] = sample;
  const label = value === tag.value ? tag.label : labels.of(name, value) ?? null;
  // Why it is not good is most likely what it was; the next answer knows.
  if (quality === tag.quality) return { ...tag, value, ts, label };
  return { ...tag, value, quality, ts, label, code: undefined, reason: undefined };
}
