// What views share: the store, the address, the time.

import { useEffect, useReducer, useState } from "preact/hooks";
import type { Known, Store } from "../data/store.ts";

export function useKnown(store: Store): Known {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.listen(() => again(undefined)), [store]);
  return store.known;
}

/** Render again when values arrive, at most a few times a second. */
export function useValues(store: Store): void {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.listenValues(() => again(undefined)), [store]);
}

/** The parts of the address after #/. */
export function useAddress(): string[] {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return hash.replace(/^#\/?/, "").split("/").map(decoded);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function addressOf(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}
