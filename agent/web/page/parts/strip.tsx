// How a device did lately: a column a sample, as high as the share of its tags that were good. With words beside it.

import type { Step } from "../data/trail.ts";
import { lasting } from "../format.ts";
import { t } from "../words/index.ts";

const WIDE = 90;
const HIGH = 18;

export function Strip({ name, steps }: { name: string; steps: readonly Step[] }) {
  const first = steps[0]?.ts ?? 0;
  const last = steps.at(-1)?.ts ?? 0;
  const label = t("strip_label", { name, lasting: lasting((last - first) / 1000) });
  return (
    <svg class="strip" viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {runs(steps).map(({ from, to, step }) => {
        const high = step.good === null ? 2 : Math.max(2, step.good * HIGH);
        const x = WIDE - steps.length + from;
        return <rect key={from} class={toneOf(step)} x={x} width={to - from} y={HIGH - high} height={high} />;
      })}
    </svg>
  );
}

/** Equal neighbours are drawn as one: most devices do well all the time. */
function runs(steps: readonly Step[]): { from: number; to: number; step: Step }[] {
  const found: { from: number; to: number; step: Step }[] = [];
  steps.forEach((step, at) => {
    const last = found.at(-1);
    if (last && last.step.good === step.good && last.step.state === step.state) last.to = at + 1;
    else found.push({ from: at, to: at + 1, step });
  });
  return found;
}

function toneOf(step: Step): string {
  if (step.good === null) return "off";
  return step.state === "offline" ? "bad" : step.state === "degraded" ? "warn" : "good";
}

/** The course of one value: a line, broken where there is no number. */
export function Course({ values, label }: { values: readonly (number | null)[]; label: string }) {
  const numbers = values.filter((one) => one !== null);
  if (numbers.length < 2) return <svg class="course" viewBox={`0 0 ${WIDE} ${HIGH}`} aria-hidden="true" />;
  const low = Math.min(...numbers);
  const span = Math.max(...numbers) - low || 1;
  const step = WIDE / Math.max(1, values.length - 1);
  let path = "";
  let drawing = false;
  values.forEach((value, at) => {
    if (value === null) drawing = false;
    else {
      const y = HIGH - 2 - ((value - low) / span) * (HIGH - 4);
      path += `${drawing ? "L" : "M"}${(at * step).toFixed(1)} ${y.toFixed(1)}`;
      drawing = true;
    }
  });
  return (
    <svg class="course" viewBox={`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={path} />
    </svg>
  );
}
