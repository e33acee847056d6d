// uPlot in a box: mean as a line, minimum to maximum as a shade, what was not good as bands behind it.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { columns, type Point, type Span } from "../data/trend.ts";
import { clockTime, minute, shown } from "../format.ts";
import { t } from "../words/index.ts";
import { colour } from "./theme.ts";

const HIGH = 260;
const SIGNS = ["mean", "range", "part", "uncertain", "bad", "gap"] as const;

interface ChartProps {
  found: readonly Point[];
  spans: readonly Span[];
  from: number;
  to: number;
  longest: number;
  unit: string | null;
  label: string;
  onZoom: (span: [number, number] | null) => void;
}

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [at, setAt] = useState<number | null>(null);
  const shade = document.documentElement.dataset.theme;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const width = Math.floor(element.clientWidth);
      if (width <= 0) return; // a chart without a size throws
      if (chart.current) chart.current.setSize({ width, height: HIGH });
      else {
        const made = new uPlot(options(width, latest, setAt), data(latest.current), element);
        made.root.setAttribute("aria-hidden", "true");
        chart.current = made;
      }
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [shade, props.unit]);
  useEffect(() => {
    const made = chart.current;
    if (!made) return;
    made.batch(() => {
      made.setData(data(props), false);
      made.setScale("x", { min: props.from / 1000, max: props.to / 1000 });
    });
  }, [props.found, props.from, props.to]);
  const point = at === null ? undefined : props.found[at];
  return (
    <figure class="chart">
      <div ref={box} class="canvas" role="img" aria-label={props.label} />
      <figcaption>
        <span class="legend">
          {SIGNS.map((sign) => (
            <span key={sign}>
              <i class={`l-${sign}`} /> {t(`legend_${sign}`)}
            </span>
          ))}
        </span>
        <span class="readout">{point ? told(point, props.unit) : t("chart_hint")}</span>
      </figcaption>
    </figure>
  );
}

function told(point: Point, unit: string | null): string {
  const time = point.lasts === 60_000 ? minute(point.ts) : clockTime(point.ts);
  const range = point.min !== point.max ? ` (${shown(point.min)} – ${shown(point.max)})` : "";
  return `${time}  ${shown(point.mean ?? point.last)}${range} ${unit ?? ""}  ${Math.round(point.good * 100)} %`;
}

function data(props: ChartProps): uPlot.AlignedData {
  return columns(props.found, props.longest);
}

function options(
  width: number,
  latest: { current: ChartProps },
  setAt: (index: number | null) => void,
): uPlot.Options {
  const axis = {
    stroke: colour("muted"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line") },
  };
  const line = colour("accent");
  const two = (n: number) => String(n).padStart(2, "0");
  return {
    width,
    height: HIGH,
    padding: [10, 26, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    scales: {
      x: { time: true, range: () => [latest.current.from / 1000, latest.current.to / 1000] },
      y: { range: (_u, low, high) => padded(low, high) },
    },
    axes: [
      {
        ...axis,
        space: 76,
        values: (_u, splits, _axis, _space, step) =>
          splits.map((second) => {
            const when = new Date(second * 1000);
            const time = clockTime(second * 1000);
            if (step >= 86_400 || (when.getHours() === 0 && when.getMinutes() === 0)) {
              return `${two(when.getMonth() + 1)}-${two(when.getDate())}`;
            }
            return step < 60 ? time : time.slice(0, 5);
          }),
      },
      { ...axis, size: 64, values: (_u, splits) => splits.map((value) => shown(value)) },
    ],
    series: [
      {},
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
      { stroke: line, width: 1.6, points: { size: 4, filter: alone } },
    ],
    bands: [{ series: [2, 1], fill: colour("range") }],
    hooks: {
      drawClear: [(u) => shade(u, latest.current.spans)],
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        const from = u.posToVal(u.select.left, "x") * 1000;
        const to = u.posToVal(u.select.left + u.select.width, "x") * 1000;
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        latest.current.onZoom([from, Math.max(to, from + 10_000)]);
      }],
      setCursor: [(u) => setAt(nearest(latest.current.found, u))],
      ready: [(u) => u.over.addEventListener("dblclick", () => latest.current.onZoom(null))],
    },
  };
}

/** A flat line gets some air, and everything a little. */
function padded(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const air = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low - air, high + air];
}

/** A point between two gaps has no line: it is drawn as a dot. */
function alone(u: uPlot, series: number): number[] {
  const values = u.data[series] ?? [];
  const found: number[] = [];
  for (let at = 0; at < values.length; at++) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  }
  return found;
}

function nearest(found: readonly Point[], u: uPlot): number | null {
  const { left } = u.cursor;
  if (left === undefined || left < 0) return null;
  const ts = u.posToVal(left, "x") * 1000;
  const index = found.findIndex((one) => one.ts + one.lasts > ts);
  return index >= 0 && found[index]!.ts <= ts ? index : null;
}

function shade(u: uPlot, spans: readonly Span[]): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const { from, to, quality } of spans) {
    const left = u.valToPos(from / 1000, "x", true);
    const wide = Math.max(1, u.valToPos(to / 1000, "x", true) - left);
    ctx.fillStyle = colour(`band-${quality}`);
    ctx.fillRect(left, bbox.top, wide, bbox.height);
    if (quality === "bad") hatch(ctx, left, bbox.top, wide, bbox.height);
  }
  ctx.restore();
}

/** Lines across: colour is never the only sign. */
function hatch(ctx: CanvasRenderingContext2D, x: number, y: number, wide: number, high: number): void {
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, y, wide, high);
  ctx.clip();
  ctx.strokeStyle = colour("bad");
  ctx.globalAlpha = 0.35;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let at = -high; at < wide; at += 8) {
    ctx.moveTo(x + at, y + high);
    ctx.lineTo(x + at + high, y);
  }
  ctx.stroke();
  ctx.restore();
}
