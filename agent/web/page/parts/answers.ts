// An answer of the API for a view: asked when the view opens, when what it depends on changes, and where wanted again.

import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../live/world.ts";

/** No answer at all, or a busy disk: asked again soon. */
const NO_ANSWER = new Set([0, 503]);
const AGAIN = 2000;

export interface Asked<T> {
  body: T | null;
  /** 0: no answer yet, or none at all. */
  code: number;
  pending: boolean;
}

/** `again`: ask again after so many milliseconds, while the tab is visible. */
export function useAnswer<T>(path: string | null, dependsOn: unknown = null, again: number | null = null): Asked<T> {
  const [asked, setAsked] = useState<Asked<T> & { path: string | null }>({ body: null, code: 0, pending: true, path });
  const asks = useRef({ path, sent: 0, taken: 0 });
  asks.current.path = path;
  useEffect(() => {
    if (path === null) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      let failed = false;
      if (document.visibilityState === "visible") {
        const turn = ++asks.current.sent;
        const { code, body } = await get<T>(path, 15_000);
        failed = NO_ANSWER.has(code);
        // What it depends on may change faster than answers come: an answer counts while it is the newest to this path.
        if (asks.current.path === path && turn > asks.current.taken) {
          asks.current.taken = turn;
          // What was there stays where the agent does not answer now: the frame says that it is old.
          setAsked((before) =>
            failed && before.path === path
              ? { ...before, pending: before.body === null }
              : { body: code === 200 ? body : null, code, pending: false, path }
          );
        }
      }
      const next = again ?? (failed ? AGAIN : null);
      if (next !== null && !over) timer = setTimeout(() => void ask(), next);
    };
    void ask();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [path, dependsOn, again]);
  useEffect(() => () => void (asks.current.path = null), []);
  return asked.path === path ? asked : { body: null, code: 0, pending: true };
}
