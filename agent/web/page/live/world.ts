// The browser's side of the connection: EventSource, fetch, timers.

import type { Status, Values } from "../api/types.ts";
import type { Answer, World } from "./link.ts";

const PATIENCE = 4000;
const STREAMS = 4;

/** An answer of the API; `body` is null where there is none. */
export interface Got<T> {
  code: number;
  body: T | null;
  headers: Headers;
}

/** Never rejects: code 0 is no answer. */
export async function get<T>(path: string, patience = PATIENCE): Promise<Got<T>> {
  return await request<T>(path, { headers: { Accept: "application/json" } }, patience);
}

export async function post<T>(path: string, body: unknown): Promise<Got<T>> {
  const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return await request<T>(path, init, 2 * PATIENCE);
}

async function request<T>(path: string, init: RequestInit, patience: number): Promise<Got<T>> {
  try {
    const answer = await fetch(path, {
      ...init,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(patience),
    });
    const body = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : null;
    return { code: answer.status, body, headers: answer.headers };
  } catch {
    return { code: 0, body: null, headers: new Headers() };
  }
}

/**
 * One of the streams that all windows of this browser may have: it opens six connections to one server, and where
 * streams have them all no window gets an answer any more. null: there is none. Without locks (HTTP beyond loopback)
 * nobody knows of the others.
 */
async function place(): Promise<(() => void) | null> {
  if (!navigator.locks) return () => undefined;
  for (const pause of [0, 200]) { // the place that was left a moment ago is not free at once
    await new Promise((then) => setTimeout(then, pause));
    for (let number = 0; number < STREAMS; number++) {
      const given = await new Promise<(() => void) | null>((then) =>
        void navigator.locks.request(
          `edge-agent.stream.${number}`,
          { ifAvailable: true },
          (lock) => lock ? new Promise<void>((release) => then(release)) : then(null),
        ).catch(() => then(() => undefined)) // no locks where the browser may store nothing
      );
      if (given) return given;
    }
  }
  return null;
}

export const browser: World = {
  now: () => Date.now(),
  async ask(): Promise<Answer> {
    const { code, body } = await get<Status & { error?: string }>("api/v1/status");
    return code === 200 && body ? { code, status: body } : { code, error: body?.error };
  },
  open(device, events) {
    let source: EventSource | null = null;
    let release: (() => void) | null = null;
    let closed = false;
    const close = () => {
      closed = true;
      source?.close();
      release?.();
    };
    void place().then((given) => {
      release = given;
      if (closed) return close();
      if (!given) return events.closed(true);
      source = new EventSource(`api/v1/stream${device === null ? "" : `?device=${encodeURIComponent(device)}`}`);
      source.addEventListener("status", (event) => events.status(JSON.parse(event.data) as Status));
      source.addEventListener("values", (event) => events.values(JSON.parse(event.data) as Values));
      source.addEventListener("error", () => {
        const refused = source?.readyState === EventSource.CLOSED;
        close();
        events.closed(refused);
      });
    });
    return { close };
  },
  later(milliseconds, then) {
    const timer = setTimeout(then, milliseconds);
    return () => clearTimeout(timer);
  },
};
