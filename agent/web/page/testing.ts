// What the unit tests need: a comparison, a world without network and with a clock of its own.

import type { Status } from "./api/types.ts";
import type { Answer, Stream, StreamEvents, World } from "./live/link.ts";

export function equal(found: unknown, wanted: unknown): void {
  const [one, other] = [JSON.stringify(found, null, 1), JSON.stringify(wanted, null, 1)];
  if (one !== other) throw new Error(`found  ${one}\nwanted ${other}`);
}

/** Time passes when a test says so. */
export class FakeWorld implements World {
  time = 1_000_000;
  answer: Answer = { code: 0 };
  asked = 0;
  readonly streams: { device: string | null; events: StreamEvents; open: boolean }[] = [];
  #timers: { at: number; then: () => void }[] = [];

  now(): number {
    return this.time;
  }

  ask(): Promise<Answer> {
    this.asked++;
    return Promise.resolve(this.answer);
  }

  open(device: string | null, events: StreamEvents): Stream {
    const one = { device, events, open: true };
    this.streams.push(one);
    return { close: () => void (one.open = false) };
  }

  later(milliseconds: number, then: () => void): () => void {
    const timer = { at: this.time + milliseconds, then };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((one) => one !== timer));
  }

  /** Let so many milliseconds pass, a timer at a time. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.time + milliseconds;
    for (;;) {
      const next = this.#timers.filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.time = Math.max(this.time, next.at);
      next.then();
      await settled();
    }
    this.time = end;
  }

  get pending(): number {
    return this.#timers.length;
  }
}

/** All that follows at once has happened. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
}

export const someStatus = {
  agent: { config: { effective: "a" } },
  ts: 1,
  devices: {},
  publishers: {},
  wrong: [],
} as unknown as Status;
