// Newest values by device and tag, and what was seen of them, at full rate, within bounds.

export type Sample = [value: unknown, quality: "good" | "uncertain" | "bad", ts: number];

/** Samples of one tag that are remembered, and tags of which they are. */
const SEEN = 3000;
const MOST_TAGS = 4000;

export class Values {
  #newest = new Map<string, Map<string, Sample>>();
  #seen = new Map<string, Sample[]>();
  #heard = new Map<string, number>();
  #watched: string | null = null;

  take(device: string, tags: Record<string, Sample>): void {
    let newest = this.#newest.get(device);
    if (!newest) this.#newest.set(device, newest = new Map());
    for (const [tag, sample] of Object.entries(tags)) {
      const before = newest.get(tag);
      newest.set(tag, sample);
      if (sample[1] !== "bad") this.#heard.set(device, Math.max(sample[2], this.#heard.get(device) ?? 0));
      if (!before || before[2] !== sample[2]) this.#remember(device, tag, sample);
    }
  }

  newest(device: string, tag: string): Sample | undefined {
    return this.#newest.get(device)?.get(tag);
  }

  /** When a value that is not bad was last read of it; null: not seen here. */
  heard(device: string): number | null {
    return this.#heard.get(device) ?? null;
  }

  seen(device: string, tag: string): readonly Sample[] {
    return this.#seen.get(`${device}\n${tag}`) ?? [];
  }

  /** The same without what was seen before an interruption: what was missed meanwhile only the history has. */
  unbroken(device: string, tag: string): readonly Sample[] {
    const seen = this.seen(device, tag);
    return seen.slice(seen.findLastIndex(([value]) => value === undefined) + 1);
  }

  /** A stream is opened: what comes next does not go on from what was seen. A value that no tag can have says so. */
  interrupted(): void {
    for (const seen of this.#seen.values()) {
      const last = seen.at(-1)!;
      if (last[0] !== undefined) seen.push([undefined, "bad", last[2]]);
    }
  }

  /** Keep more of this tag: its trend is open. */
  watch(device: string, tag: string | null): void {
    this.#watched = tag === null ? null : `${device}\n${tag}`;
  }

  clear(): void {
    this.#newest.clear();
    this.#seen.clear();
    this.#heard.clear();
  }

  #remember(device: string, tag: string, sample: Sample): void {
    const key = `${device}\n${tag}`;
    let seen = this.#seen.get(key);
    if (!seen) {
      if (this.#seen.size >= MOST_TAGS) return;
      this.#seen.set(key, seen = []);
    }
    // A clock that was set back begins anew: a chart's time only rises.
    if (seen.length && seen.at(-1)![2] >= sample[2]) seen.length = 0;
    seen.push(sample);
    const most = key === this.#watched ? SEEN : 60;
    if (seen.length > most) seen.splice(0, seen.length - most);
  }
}
