// Signs of state and quality: a shape, a colour and a word, so that colour is never the only sign.

import { stateWord } from "../data/findings.ts";

const SHAPES: Record<string, string> = {
  good: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 0 1 0-11z",
  warn: "M8 1.5L15 14H1z",
  bad: "M2 2h12v12H2z M5 5l6 6 M11 5l-6 6",
  off: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 0 1 0-11z M4 12L12 4",
  old: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 0 1 0-11z M8 5v3.2l2.2 1.6",
};

export type Tone = "good" | "warn" | "bad" | "off" | "old";

const TONES: Record<string, Tone> = {
  online: "good",
  good: "good",
  degraded: "warn",
  held: "warn",
  uncertain: "warn",
  connecting: "warn",
  offline: "bad",
  bad: "bad",
  disabled: "off",
  removed: "off",
};

export function toneOf(state: string): Tone {
  return TONES[state] ?? "warn";
}

export function Mark({ tone }: { tone: Tone }) {
  return (
    <svg class={`mark ${tone}`} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={SHAPES[tone]} />
    </svg>
  );
}

export function StateSign({ state, tone }: { state: string; tone?: Tone }) {
  const shown = tone ?? toneOf(state);
  return (
    <span class={`sign ${shown}`}>
      <Mark tone={shown} />
      {stateWord(state)}
    </span>
  );
}
