"""The report on paper: one file without scripts or requests, one screen of rates, the tables behind them. Pure."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from agent.core.text import harmless
from agent.historian.report.document import Document, agreed, definition, head_text
from agent.historian.report.text import TEXT

_STYLE = """
@page{size:A4;margin:15mm}
body{font:14px/1.45 system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;color:#111;max-width:60em;
margin:2em auto;padding:0 1em}
h1{font-size:1.6em;margin:0}
h2{font-size:1.15em;margin:1.6em 0 .4em;break-after:avoid}
.rates{display:flex;flex-wrap:wrap;gap:1em;margin:1.2em 0}
.rates div{flex:1 1 12em;border:1px solid #bbb;padding:.8em 1em;break-inside:avoid}
.rates b{display:block;font-size:2em}
.rates small,.note{color:#444;font-size:.86em}
h3{font-size:1em;margin:1.2em 0 .3em;break-after:avoid}
table{border-collapse:collapse;width:100%;font-size:.82em}
th,td{border-bottom:1px solid #ccc;padding:.2em .3em;text-align:left;vertical-align:top}
td{min-width:5.5em;overflow-wrap:anywhere}
td:first-child{min-width:7.5em}
td.n{min-width:0;overflow-wrap:normal}
th{word-break:keep-all}
thead{display:table-header-group}
tr{break-inside:avoid}
th.n,td.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:.85em;overflow-wrap:anywhere}
.warn{border-left:4px solid #a40000;padding-left:.8em}
@media print{body{margin:0;max-width:none;padding:0;font-size:10pt}table{font-size:7.5pt}.page{break-before:page}}
"""


def as_html(document: Document) -> str:
    """The whole file."""
    return _Page(document).text()


class _Page:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._figures = document.figures
        self._said = TEXT[document.head.lang]
        self._zone = ZoneInfo(document.figures["time_zone"])

    def text(self) -> str:
        head, said, figures = self._document.head, self._said, self._figures
        title = f"{said['title']} {figures['day']}"
        until = self._when(figures["until"])
        made = said["made"].format(made=self._when(head.made), historian=head.historian, version=head.version)
        parts = [
            f'<!DOCTYPE html>\n<html lang="{head.lang}"><meta charset="utf-8">',
            f'<meta name="edge-report" content="{_escape(head_text(head))};seal={self._document.seal}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{_escape(title)}</title>\n<style>{_STYLE}</style>\n<body>\n<h1>{_escape(title)}</h1>",
            f'<p class="note">{_escape(figures["time_zone"])}, {self._when(figures["begin"])} … {until}</p>',
        ]
        if not figures["complete"]:
            parts.append(f'<p class="warn">{_escape(said["part"].format(until=until))}</p>')
        parts += ['<div class="rates">', *(self._rate(key) for key in ("networked", "collected", "good")), "</div>"]
        parts += [*self._differences(), *self._untold()]
        parts += [*self._devices(), *self._gaps(), *self._stops(), *self._agents(), *self._tags()]
        parts.append(f'<p class="note">{_escape(made)}<br>{said["digest"]}: <code>{self._document.sha256}</code></p>')
        return "\n".join(parts) + "\n</body></html>\n"

    def _rate(self, key: str) -> str:
        rate = self._figures[key]
        numbers = f"{_number(rate['numerator'])} / {_number(rate['denominator'])}"
        means = _escape(definition(self._document, key))
        return f"<div>{self._said[key]}<b>{_share(rate['rate'])}</b>{numbers}<br><small>{means}</small></div>"

    def _differences(self) -> list[str]:
        rows = self._figures["differences"]
        if not rows:
            return [f"<p>{self._said[agreed(self._figures)]}</p>"]
        table = self._table(
            ("device", "agent", "counted#", "received#", "short#", "missing#", "state"),
            (
                (
                    one["device"], one["agent"], one["agent_readings"], one["database_readings"], one["short"],
                    one["missing"], ", ".join(map(self._word, one["repair"])),
                )
                for one in rows
            ),
        )  # fmt: skip
        return [f'<h2 class="warn">{self._said["differ"]}</h2><p class="note">{self._said["differ_means"]}</p>', table]

    def _untold(self) -> list[str]:
        rows = [
            (device["device"], device["agent"], self._when(one["from_ts"]), self._when(one["to_ts"]), one["seconds"])
            for device in self._figures["devices"]
            for one in device["untold"]
        ]
        if not rows:
            return []
        table = self._table(("device", "agent", "from", "to", "seconds#"), rows)
        note = f'<p class="note">{self._said["untold_means"]}</p>'
        return [f'<h2 class="warn">{self._said["untold"]}</h2>', note, table]

    def _devices(self) -> list[str]:
        heads = (
            "device", "agent", "networked", "share#", "expected#", "scanned#", "scans_received#", "lost#", "missing#",
            "offline#", "age#",
        )  # fmt: skip
        rows = (
            (
                one["device"], one["agent"], self._said["yes" if one["networked"] else "no"], _share(one["good"]),
                one["expected"], one["scanned"], one["collected"], one["lost"], one["missing"], one["offline_s"],
                _age(one["age_ms"]),
            )
            for one in self._figures["devices"]
        )  # fmt: skip
        note = f'<p class="note">{self._said["age_means"]}</p>'
        return [f"<h2>{self._said['devices']}</h2>", self._table(heads, rows), note]

    def _gaps(self) -> list[str]:
        rows = [
            (
                one["device"], self._word(one["kind"]), self._when(one["from_ts"]), self._when(one["to_ts"]),
                one["seconds"], one["records"], one["readings"], one["reason"],
            )
            for one in self._figures["gaps"]
        ]  # fmt: skip
        heads = ("device", "cause", "from", "to", "seconds#", "records#", "readings#", "reason")
        body = self._table(heads, rows) if rows else f"<p>{self._said['no_gaps']}</p>"
        return [f"<h2>{self._said['gaps']}</h2>", body]

    def _stops(self) -> list[str]:
        rows = [
            (one["device"], self._when(one["begin"]), self._when(one["end"]), one["reason"])
            for one in self._figures["stops"]
        ]
        if not rows:
            return []
        return [f"<h2>{self._said['stops']}</h2>", self._table(("device", "from", "to", "reason"), rows)]

    def _agents(self) -> list[str]:
        rows = (
            (one["agent"], self._when(one["at"]), self._word(one["state"]), one["version"], one["config"])
            for one in self._figures["agents"]
        )
        heads = ("agent", "since", "state", "version", "config")
        return [f"<h2>{self._said['agents']}</h2>", self._table(heads, rows)]

    def _tags(self) -> list[str]:
        parts = [f'<h2 class="page">{self._said["tags"]}</h2>']
        heads = ("tag", "unit", "share#", "expected#", "arrived#", "readings#", "age#")
        for device in self._figures["devices"]:
            rows = (
                (
                    one["tag"],
                    one["unit"],
                    _share(one["good"]),
                    one["expected"],
                    one["arrived"],
                    one["readings"],
                    _age(one["age_ms"]),
                )
                for one in device["tags"]
            )
            parts += [f"<h3>{_escape(device['device'])}</h3>", self._table(heads, rows)]
        return parts

    def _table(self, heads: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
        """A head that ends with # is one of numbers."""
        kinds = [' class="n"' if head.endswith("#") else "" for head in heads]
        top = "".join(f"<th{kind}>{self._said[head.rstrip('#')]}" for head, kind in zip(heads, kinds, strict=True))
        lines = [
            "<tr>" + "".join(f"<td{kind}>{_shown(cell)}" for cell, kind in zip(row, kinds, strict=True)) for row in rows
        ]
        return f"<table><thead><tr>{top}</thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table>"

    def _word(self, name: str) -> str:
        """A kind or a state in the language of the report."""
        return self._said.get(f"is_{name}", name)

    def _when(self, ms: int) -> str:
        try:
            return dt.datetime.fromtimestamp(ms / 1000, self._zone).strftime("%Y-%m-%d %H:%M:%S")
        except (ValueError, OverflowError, OSError):
            return str(ms)


def _shown(cell: object) -> str:
    if cell is None:
        return "—"
    return _number(cell) if isinstance(cell, int | float) else _escape(str(cell))


def _escape(text: str) -> str:
    return html.escape(harmless(text))


def _number(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def _share(share: float | None) -> str:
    return "—" if share is None else f"{share * 100:.2f}\N{NO-BREAK SPACE}%"


def _age(age: dict[str, int] | None) -> str:
    return "—" if age is None else " / ".join(f"{age[key]:,}" for key in ("p50", "p95", "p99"))
