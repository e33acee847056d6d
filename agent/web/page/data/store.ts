// What the page knows, and who is to be told when that changes.

import type { Status } from "../api/types.ts";
import type { Link } from "../live/link.ts";
import type { Historian } from "./historian.ts";
import { Trail } from "./trail.ts";
import { Values } from "./values.ts";

export interface Known {
  status: Status | null;
  /** In its place where the server is a historian. */
  historian: Historian | null;
  /** When that status arrived, by the browser's clock. */
  statusAt: number;
  link: Link;
}

const MOST_WORDS = 10_000;

export class Store {
  known: Known = {
    status: null,
    historian: null,
    statusAt: 0,
    link: { phase: "connecting", heard: null, lostSince: null },
  };
  readonly trails = new Map<string, Trail>();
  readonly values = new Values();
  /** Words of the values that stand for a device, by device, tag and value: a status brings those of its moment. */
  readonly words = new Map<string, string>();
  #listeners = new Set<() => void>();
  #valueListeners = new Set<() => void>();
  /** Who is to be told next; where it is not empty a timer runs. */
  #due = new Set<Set<() => void>>();

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  change(change: Partial<Known>): void {
    const { status, historian, link } = this.known;
    this.known = { ...this.known, ...change };
    const news = this.known;
    // Time that passes and the next status wait for each other; what a view hangs on does not wait.
    if (!status !== !news.status || historian !== news.historian || link.phase !== news.link.phase) {
      for (const listener of [...this.#listeners]) listener();
    } else this.#soon(this.#listeners);
  }

  listenValues(listener: () => void): () => void {
    this.#valueListeners.add(listener);
    return () => this.#valueListeners.delete(listener);
  }

  /** Values have arrived. */
  tellValues(): void {
    this.#soon(this.#valueListeners);
  }

  /** At most four times a second, where there are many devices once. */
  #soon(listeners: Set<() => void>): void {
    const waiting = this.#due.size > 0;
    this.#due.add(listeners);
    if (waiting) return;
    setTimeout(() => {
      const told = new Set([...this.#due].flatMap((one) => [...one]));
      this.#due.clear();
      for (const listener of told) listener();
    }, Math.min(1000, Math.max(250, this.trails.size * 4)));
  }

  /** A status has arrived. */
  take(status: Status, now: number): void {
    for (const [name, device] of Object.entries(status.devices)) {
      let trail = this.trails.get(name);
      if (!trail) this.trails.set(name, trail = new Trail());
      trail.add(status.ts, device);
    }
    for (const name of this.trails.keys()) if (!(name in status.devices)) this.trails.delete(name);
    if (this.words.size > MOST_WORDS || status.agent.config.effective !== this.known.status?.agent.config.effective) {
      this.words.clear();
    }
    for (const [name, device] of Object.entries(status.devices)) {
      for (const [tag, [value, word]] of Object.entries(device.words)) this.words.set(`${name}/${tag}/${value}`, word);
    }
    this.change({ status, statusAt: now });
  }

  /** Nothing of what was shown stays: the login has ended. */
  forget(): void {
    this.trails.clear();
    this.values.clear();
    this.change({ status: null, historian: null, statusAt: 0 });
  }
}

/** The agent's clock as of now: that of the last status, and what has passed here since. Epoch milliseconds. */
export function agentNow(known: Known, now: number): number {
  return known.status ? known.status.ts + Math.max(0, now - known.statusAt) : now;
}
