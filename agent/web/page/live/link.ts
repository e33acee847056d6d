// The connection to the agent: one EventSource, closed while hidden, opened again, and what is to be said of it.
//
// A half-open connection ends without a word, so silence counts: the stream brings a status every two seconds, and where
// nothing has come for SILENCE the status is asked for. Everything from outside is injected; times are milliseconds.

import type { Status, Values } from "../api/types.ts";

export type Phase = "connecting" | "live" | "polling" | "lost" | "login" | "asleep";

export interface Link {
  phase: Phase;
  /** When the agent was last heard; null: never. */
  heard: number | null;
  lostSince: number | null;
  /** What the server says instead of a status, where it says anything. */
  refusal?: string;
}

export interface Answer {
  /** 0: no answer. */
  code: number;
  status?: Status;
  /** What it says instead. */
  error?: string;
}

export interface Stream {
  close(): void;
}

export interface World {
  now(): number;
  /** Asks /api/v1/status; never rejects. */
  ask(): Promise<Answer>;
  open(device: string | null, events: StreamEvents): Stream;
  /** Call back after so many milliseconds; the returned function ends that. */
  later(milliseconds: number, then: () => void): () => void;
}

export interface StreamEvents {
  status(status: Status): void;
  values(values: Values): void;
  /** It has ended. `refused`: the server answered, but with no stream. */
  closed(refused: boolean): void;
}

export interface Listener {
  link(link: Link): void;
  status(status: Status): void;
  values(values: Values): void;
}

export const SILENCE = 5000;
const LOOK = 1000;
const AGAIN = 2000;
const POLL = 10_000;
const STREAM_AGAIN = 30_000;

export class Connection {
  #link: Link = { phase: "connecting", heard: null, lostSince: null };
  #stream: Stream | null = null;
  #device: string | null = null;
  #visible = true;
  /** The server has refused the stream: there are too many viewers. */
  #refused = false;
  #nextAsk = 0;
  #nextStream = 0;
  #asking = false;
  #stopLooking: (() => void) | null = null;
  /** What was opened or asked before one of these changed does not count any more. */
  #streams = 0;
  #asks = 0;

  constructor(private readonly world: World, private readonly listener: Listener) {}

  start(): void {
    this.#open();
    if (!this.#stopLooking) this.#look();
  }

  /** Live values of this device; null: of the overview. */
  follow(device: string | null): void {
    if (device === this.#device) return;
    this.#device = device;
    if (this.#stream) this.#open();
  }

  show(visible: boolean): void {
    if (visible === this.#visible) return;
    this.#visible = visible;
    this.#asks++;
    this.#asking = false;
    if (!visible) {
      this.#shut();
      this.#stopLooking?.();
      this.#stopLooking = null;
      if (this.#link.phase !== "login") this.#say({ phase: "asleep" });
    } else if (this.#link.phase !== "login") {
      this.#say({ phase: "connecting" });
      this.start();
      void this.#ask();
    }
  }

  /** After a login. */
  again(): void {
    this.#say({ phase: "connecting", lostSince: null });
    this.start();
  }

  /** The session has ended, as another answer told. */
  end(): void {
    this.#shut();
    this.#say({ phase: "login" });
  }

  #open(): void {
    this.#shut();
    const turn = ++this.#streams;
    const mine = () => turn === this.#streams;
    this.#refused = false;
    this.#nextAsk = this.world.now() + SILENCE;
    this.#stream = this.world.open(this.#device, {
      status: (status) => {
        if (mine()) this.#took(status);
      },
      values: (values) => {
        if (!mine()) return;
        this.#heard("live");
        this.listener.values(values);
      },
      closed: (refused) => {
        if (!mine()) return;
        this.#shut();
        this.#refused = refused;
        this.#nextStream = this.world.now() + STREAM_AGAIN;
        void this.#ask();
      },
    });
  }

  #shut(): void {
    this.#streams++;
    this.#stream?.close();
    this.#stream = null;
  }

  #took(status: Status): void {
    this.#heard("live");
    this.listener.status(status);
  }

  #heard(phase: Phase, next = SILENCE): void {
    const now = this.world.now();
    this.#nextAsk = now + next;
    this.#say({ phase, heard: now, lostSince: null, refusal: undefined });
  }

  #look(): void {
    this.#stopLooking = this.world.later(LOOK, () => {
      this.#look();
      if (this.#link.phase === "login") return;
      const now = this.world.now();
      if (this.#refused && this.#link.phase === "polling" && now >= this.#nextStream) this.#open();
      if (now >= this.#nextAsk) void this.#ask();
      this.listener.link(this.#link);
    });
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const turn = this.#asks;
    const answer = await this.world.ask();
    if (turn !== this.#asks) return;
    this.#asking = false;
    if (answer.code === 401) return this.end();
    if (answer.status) return this.#answered(answer.status);
    this.#shut();
    const now = this.world.now();
    this.#nextAsk = now + AGAIN;
    this.#say({ phase: "lost", lostSince: this.#link.lostSince ?? this.#link.heard ?? now, refusal: answer.error });
  }

  #answered(status: Status): void {
    if (this.#stream) return this.#took(status); // it is open and says nothing: asked for as long as that lasts
    this.#heard(this.#refused ? "polling" : "connecting", this.#refused ? POLL : SILENCE);
    this.listener.status(status);
    if (!this.#refused) this.#open();
  }

  #say(change: Partial<Link>): void {
    this.#link = { ...this.#link, ...change };
    this.listener.link(this.#link);
  }
}
