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

export class Store {
  known: Known = {
    status: null,
    historian: null,
    statusAt: 0,
    link: { phase: "connecting", heard: null, lostSince: null },
  };
  readonly trails = new Map<string, Trail>();
  readonly values = new Values();
  #listeners = new Set<() => void>();
  #valueListeners = new Set<() => void>();
  #pending = false;

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  change(change: Partial<Known>): void {
    this.known = { ...this.known, ...change };
    this.tell();
  }

  listenValues(listener: () => void): () => void {
    this.#valueListeners.add(listener);
    return () => this.#valueListeners.delete(listener);
  }

  /** Values have arrived: told at most four times a second, where there are many devices once. */
  tellValues(): void {
    if (this.#pending || !this.#valueListeners.size) return;
    this.#pending = true;
    setTimeout(() => {
      this.#pending = false;
      for (const listener of [...this.#valueListeners]) listener();
    }, Math.min(1000, Math.max(250, this.trails.size * 4)));
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** A status has arrived. */
  take(status: Status, now: number): void {
    for (const [name, device] of Object.entries(status.devices)) {
      let trail = this.trails.get(name);
      if (!trail) this.trails.set(name, trail = new Trail());
      trail.add(status.ts, device);
    }
    for (const name of this.trails.keys()) if (!(name in status.devices)) this.trails.delete(name);
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
