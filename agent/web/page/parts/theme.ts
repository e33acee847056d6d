// Light, dark, or as the system has it.

import { recall, remember } from "../memory.ts";

export type Theme = "auto" | "light" | "dark";

const STORED = "edge-agent.theme";

export function theme(): Theme {
  const stored = recall(STORED);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

const system = matchMedia("(prefers-color-scheme: dark)");

export function begin(): void {
  show();
  system.addEventListener("change", show);
}

function show(): void {
  const chosen = theme();
  document.documentElement.dataset.theme = chosen === "auto" ? (system.matches ? "dark" : "light") : chosen;
}

export function switchTo(chosen: Theme): void {
  remember(STORED, chosen);
  show();
}

/** The colours the style sheet gives, for what is drawn on a canvas. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
