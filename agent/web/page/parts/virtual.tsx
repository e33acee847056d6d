// A table of which only the rows in sight are in the document: thousands of rows scroll smoothly.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

export interface Column<Row> {
  key: string;
  word: string;
  cell: (row: Row) => ComponentChildren;
  sort?: (a: Row, b: Row) => number;
  class?: string;
}

export interface TableProps<Row> {
  label: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  id: (row: Row) => string;
  /** Pixels; the style sheet has the same. */
  rowHeight: number;
  sorted: { key: string; down: boolean } | null;
  onSort: (key: string) => void;
  sortLabel: (word: string) => string;
  chosen?: string | null;
  onChoose?: (row: Row) => void;
  rowClass?: (row: Row) => string;
}

const SPARE = 8;

export function VirtualTable<Row>(props: TableProps<Row>) {
  const { rows, columns, rowHeight, id } = props;
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [high, setHigh] = useState(600);
  const [at, setAt] = useState(0);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setHigh(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
  const last = Math.min(rows.length, Math.ceil((top + high) / rowHeight) + SPARE);
  const go = (to: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    setAt(next);
    const element = box.current;
    if (!element) return;
    const head = rowHeight;
    if (next * rowHeight < element.scrollTop) element.scrollTop = next * rowHeight;
    else if ((next + 1) * rowHeight + head > element.scrollTop + element.clientHeight) {
      element.scrollTop = (next + 1) * rowHeight + head - element.clientHeight;
    }
    requestAnimationFrame(() => element.querySelector<HTMLElement>(`[data-at="${next}"]`)?.focus());
  };
  const keys = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(high / rowHeight) - 2);
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) {
      event.preventDefault();
      go(to);
    } else if ((event.key === "Enter" || event.key === " ") && rows[at] && props.onChoose) {
      event.preventDefault();
      props.onChoose(rows[at]);
    }
  };
  const focusable = Math.min(at, Math.max(0, rows.length - 1));
  return (
    <div
      class="vtable"
      style={{ height: `${(rows.length + 1) * rowHeight + 2}px` }}
      ref={box}
      role="grid"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      <div class="vrow vhead" role="row" aria-rowindex={1}>
        {columns.map((column) => (
          <Head key={column.key} column={column} sorted={props.sorted} onSort={props.onSort} label={props.sortLabel} />
        ))}
      </div>
      <div role="rowgroup" class="vspace" style={{ height: `${rows.length * rowHeight}px` }}>
        {rows.slice(first, last).map((row, offset) => {
          const index = first + offset;
          const name = id(row);
          return (
            <div
              key={name}
              class={`vrow ${props.rowClass?.(row) ?? ""} ${props.chosen === name ? "chosen" : ""}`}
              style={{ transform: `translateY(${index * rowHeight}px)` }}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={props.chosen === name}
              data-at={index}
              tabIndex={index === focusable || (focusable < first && index === first) ? 0 : -1}
              onKeyDown={keys}
              onFocus={() => setAt(index)}
              onClick={() => props.onChoose?.(row)}
            >
              {columns.map((column) => (
                <span key={column.key} role="gridcell" class={column.class}>{column.cell(row)}</span>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}

interface HeadProps<Row> {
  column: Column<Row>;
  sorted: { key: string; down: boolean } | null;
  onSort: (key: string) => void;
  label: (word: string) => string;
}

function Head<Row>({ column, sorted, onSort, label }: HeadProps<Row>) {
  const mine = sorted?.key === column.key ? sorted : null;
  return (
    <span
      role="columnheader"
      class={column.class}
      aria-sort={mine ? (mine.down ? "descending" : "ascending") : undefined}
    >
      {column.sort
        ? (
          <button type="button" class="plain" title={label(column.word)} onClick={() => onSort(column.key)}>
            {column.word}
            {mine ? (mine.down ? " ▾" : " ▴") : ""}
          </button>
        )
        : column.word}
    </span>
  );
}
