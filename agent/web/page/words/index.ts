// Texts in the language of the reader. `{name}` is replaced, `{n:device:devices}` becomes "1 device", "40 devices".

import { recall, remember } from "../memory.ts";
import { en } from "./en.ts";
import { zh } from "./zh.ts";

export type Key = keyof typeof en;
export type Words = Record<Key, string>;
export type Language = "en" | "zh";
export type Values = Record<string, string | number>;

export const catalogues: Record<Language, Words> = { en, zh };

const STORED = "edge-agent.language";
let current: Language = "en";

/** What the browser asks for, unless somebody has switched. */
export function choose(wanted: readonly string[], stored: string | null): Language {
  if (stored === "en" || stored === "zh") return stored;
  for (const one of wanted) {
    if (one.toLowerCase().startsWith("zh")) return "zh";
    if (one.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}

export function speak(language: Language): void {
  current = language;
}

export function begin(): void {
  speak(choose(navigator.languages, recall(STORED)));
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
}

export function switchTo(language: Language): void {
  remember(STORED, language);
  begin();
}

export function language(): Language {
  return current;
}

export function fill(text: string, values: Values, inLanguage: Language): string {
  return text.replace(/\{(\w+)(?::([^:}]*):([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = values[name] ?? "";
    const shown = typeof value === "number" ? value.toLocaleString(inLanguage) : value;
    return one === undefined ? shown : `${shown} ${value === 1 ? one : many}`;
  });
}

export function t(key: Key, values: Values = {}): string {
  return fill(catalogues[current][key], values, current);
}

/** The text of a key that is put together; null where there is none. */
export function found(key: string, values: Values = {}): string | null {
  return key in en ? t(key as Key, values) : null;
}
