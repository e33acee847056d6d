// Light, dark, or as the system has it.

export type Theme = "auto" | "light" | "dark";

const STORED = "edge-agent.theme";

export function theme(): Theme {
  const stored = localStorage.getItem(STORED);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

export function begin(): void {
  const chosen = theme();
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

export function switchTo(chosen: Theme): void {
  localStorage.setItem(STORED, chosen);
  begin();
}

/** The colours the style sheet gives, for what is drawn on a canvas. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
