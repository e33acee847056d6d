// What this browser remembers of its reader; only until the page is loaded again where it stores nothing (blocked, full).

const kept = new Map<string, string>();

export function recall(key: string): string | null {
  return stored(() => localStorage.getItem(key)) ?? kept.get(key) ?? null;
}

/** Null: forget it. */
export function remember(key: string, value: string | null): void {
  if (value === null) kept.delete(key);
  else kept.set(key, value);
  stored(() => value === null ? localStorage.removeItem(key) : localStorage.setItem(key, value));
}

function stored<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
