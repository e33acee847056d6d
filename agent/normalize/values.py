"""What the values of one device become, and whether they are published at all.

Four paths, fastest first: columns that stand still (still.py), groups of whole columns (columns.py), value by value
for good answers (`_good`), and value by value with every rule (`_one`). Each leaves to the next what it does not
understand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from agent.core.columns import ReadingColumns
from agent.core.flow import Answer, Quality, Reading, Why
from agent.core.quality import BAD_OUT_OF_SERVICE, name_of, quality_of
from agent.core.text import carried
from agent.normalize.cache import ColumnCache
from agent.normalize.columns import Column, columns_of
from agent.normalize.convert import Convert, Verdict
from agent.normalize.instants import instant
from agent.normalize.rules import Differs, Rule
from agent.normalize.state import TagStates
from agent.normalize.still import Still

_HIGH = 0xFFFF0000
_BAD = 0x80000000
_UNLIKE = "{}: the columns of an answer differ in length"
_LABELLED = (int, float, bool)
_Short: TypeAlias = tuple[str | None, Convert, Differs | None, dict[int, str] | None, float]


class TagValues:
    """Of one device: its tags by position, what is remembered of each, and the readings that come of its answers."""

    def __init__(self, device: str, names: Sequence[str], rules: Sequence[Rule]) -> None:
        self.names = list(names)
        self.rules = list(rules)
        self.state = TagStates(len(rules))
        self.now = 0.0  #: monotonic seconds of the sample at hand; kept only where heartbeats exist
        self.hot = False  #: a heartbeat may be due with the sample at hand
        self.due = float("inf")  #: no heartbeat can be due before (monotonic seconds)
        self._device = device
        self._short = _shorts(rules)  # what `_good` unpacks per value
        self._columns = ColumnCache(self.names, self.rules, self.state)

    # --- rules --------------------------------------------------------------------------------------------------------

    def add(self, names: Sequence[str], rules: Sequence[Rule]) -> None:
        """Tags more, of which nothing is known yet."""
        self.settle()
        self.names += names
        self.rules += rules
        self._short += _shorts(rules)
        self.state.extend(len(rules))
        self.compile()

    def label(self, i: int, enum: dict[int, str] | None) -> None:
        """Other texts for the numbers of a tag; :meth:`compile` comes after."""
        self.rules[i] = self.rules[i]._replace(enum=enum, kind="each")
        self._short[i] = self.rules[i][:5]

    def measure(self, i: int, unit: str | None) -> None:
        """Another unit of a tag; :meth:`compile` comes after."""
        self.rules[i] = self.rules[i]._replace(unit=unit)
        self._short[i] = self.rules[i][:5]

    def settle(self) -> None:
        """Write the times back that columns keep, into the state."""
        self._columns.release()

    def compile(self) -> None:
        """The rules are others from now on, or the state is; the times are settled."""
        self._columns = ColumnCache(self.names, self.rules, self.state)

    # --- answers ------------------------------------------------------------------------------------------------------

    def read(self, answer: Answer, out: list[Reading], whole: list[ReadingColumns]) -> None:
        """Append what one answer says; what is said by whole columns to `whole` also."""
        tags, values, srcs, n = answer.tags, answer.values, answer.src, len(answer.tags)
        if len(values) != n or (srcs is not None and len(srcs) != n):
            raise ValueError(_UNLIKE.format(self._device))
        if (answer.status != 0 or answer.doubted is not None) and not self._is_plain(answer, n):
            self._any(answer, out)
            return
        column = self._columns.get(tags)
        if column is None:
            self._good(tags, values, answer.ts, srcs, out)
            return
        still = column.still
        if still is None:
            self._column(column, answer, out, whole)
        elif values is not still.values or srcs is not still.src:
            self._stand(still, tags, values, answer.ts, srcs, out)

    def _is_plain(self, answer: Answer, n: int) -> bool:
        """Whether all statuses are good after all, and all source times believed."""
        status, doubted = answer.status, answer.doubted
        if (doubted is not None and len(doubted) != n) or (not isinstance(status, int) and len(status) != n):
            raise ValueError(_UNLIKE.format(self._device))
        return doubted is None and not (status if isinstance(status, int) else any(status))

    def _column(self, column: Column, answer: Answer, out: list[Reading], whole: list[ReadingColumns]) -> None:
        values, srcs = answer.values, answer.src
        for pick, group, members in column.groups:
            mine = values if pick is None else pick(values)
            sources = srcs if pick is None or srcs is None else pick(srcs)
            if not group.read(mine, answer.ts, sources, out, whole):
                self._good(members, mine, answer.ts, sources, out)
        for pick, still, members in column.stills:
            mine = values if pick is None else pick(values)
            sources = srcs if pick is None or srcs is None else pick(srcs)
            self._stand(still, members, mine, answer.ts, sources, out)
        if column.rest:
            rest = column.rest
            sources = None if srcs is None else [srcs[place] for place in rest]
            start = len(out)
            self._good(column.rest_tags, [values[place] for place in rest], answer.ts, sources, out)
            if (said := columns_of(column.rest_layout, out[start:])) is not None:
                whole.append(said)

    def _stand(
        self, still: Still, tags: Sequence[int], values: Sequence[Any], ts: int, srcs: Sequence[int | None] | None,
        out: list[Reading],
    ) -> None:  # fmt: skip
        """Values of tags that stand still: those that do not are looked at, all where nothing is remembered of them."""
        places = still.changed(values)
        if places is None:
            self._good(tags, values, ts, srcs, out)
        else:
            for place in places:
                reading = self._moved(tags[place], values[place], ts, None if srcs is None else srcs[place], still)
                if reading is not None:
                    out.append(reading)
        still.keep(values, srcs)

    def _moved(self, i: int, raw: object, ts: int, src: int | None, still: Still) -> Reading | None:
        """As `_good`, of a tag that `still` owns: nothing is pending, no heartbeat will ask for its newest value."""
        unit, convert, differs, enum, _ = self._short[i]
        state = self.state
        value = convert(raw)
        if type(value) is Verdict or state.status[i]:
            return self._one(i, raw, 0, src, ts, None, mine=still)
        if differs is not None and not differs(value, state.reported[i]):
            return None
        state.reported[i] = value
        when = ts if src is None else src
        if when <= state.stamp[i]:
            when = self._later(i, when, ts)
        state.stamp[i] = when
        label = None if enum is None else _label(enum, value)
        return Reading(self.names[i], value, when, "good", None if src == when else src, unit, label)

    def _good(
        self,
        tags: Sequence[int],
        values: Sequence[object],
        ts: int,
        srcs: Sequence[int | None] | None,
        out: list[Reading],
    ) -> None:
        """Values whose status is plain good: the ordinary ones here, the others by `_one`."""
        state = self.state
        rules, owner, pending, status, stamp = self._short, state.owner, state.pending, state.status, state.stamp
        newest, own, seen, now, hot, names = state.newest, state.src, state.seen, self.now, self.hot, self.names
        if srcs is None:
            srcs = [None] * len(tags)
        for i, raw, src in zip(tags, values, srcs):  # noqa: B905 - lengths were checked
            unit, convert, differs, enum, silence = rules[i]
            value = convert(raw)
            if type(value) is Verdict or pending[i] or status[i] or owner[i] is not None or (hot and silence):
                reading = self._one(i, raw, 0, src, ts, None)
                if reading is not None:
                    out.append(reading)
                continue
            own[i] = src
            seen[i] = ts
            newest[i] = value
            if differs is not None:
                if not differs(value, state.reported[i]):
                    continue
                state.reported[i] = value
            if silence:
                state.said[i] = now
            when = ts if src is None else src
            if when <= stamp[i]:
                when = self._later(i, when, ts)
            stamp[i] = when
            if src == when:
                src = None  # noqa: PLW2901 - shown only where it differs
            label = None if enum is None else _label(enum, value)
            out.append(Reading(names[i], value, when, "good", src, unit, label))

    def _any(self, answer: Answer, out: list[Reading]) -> None:
        """Values some of which are not plain good, or have a source time that is not believed: those one by one.

        The runs of ordinary ones between them are worked off at once.
        """
        tags, values, status, srcs, reason = answer.tags, answer.values, answer.status, answer.src, answer.reason
        doubted = answer.doubted
        start = 0  # of the run of ordinary ones at hand
        for place in range(len(tags) + 1):
            code = 1 if place == len(tags) else status if isinstance(status, int) else status[place]
            doubt = None if doubted is None or place == len(tags) else doubted[place]
            if not code and doubt is None:
                continue
            if start < place:
                run = slice(start, place)
                self._good(tags[run], values[run], answer.ts, None if srcs is None else srcs[run], out)
            start = place + 1
            if place < len(tags):
                words = reason.get(place) if isinstance(reason, Mapping) else reason
                src = doubt if doubt is not None else None if srcs is None else srcs[place]
                reading = self._one(tags[place], values[place], code, src, answer.ts, words, believed=doubt is None)
                if reading is not None:
                    out.append(reading)

    def _one(
        self,
        i: int,
        raw: object,
        status: int,
        src: int | None,
        ts: int,
        reason: str | None,
        *,
        believed: bool = True,
        mine: Still | None = None,
    ) -> Reading | None:
        """One value with every rule. None where it is unchanged and need not be said.

        A source time that is not `believed` is only shown: the value is asserted for the time it arrived.
        """
        rule, state = self.rules[i], self.state
        owner = state.owner[i]
        if owner is not None and owner is not mine:
            owner.release()
        unchanged = False
        value: object = None
        if status < _BAD:
            reason = None  # words are for bad ones
            value = rule.convert(raw)
            if type(value) is Verdict:
                if value.status >= _BAD or quality_of(status) == "good":
                    status, reason = value.status, value.reason
                value = value.value
        why = state.pending[i]
        if not rule.enabled and status & _HIGH == BAD_OUT_OF_SERVICE:
            why = "disabled"
        elif why is None and rule.differs is not None and (status ^ state.status[i]) & _HIGH == 0:
            unchanged = status >= _BAD or not rule.differs(value, state.reported[i])
            if unchanged and self.hot and self.now - state.said[i] >= rule.silence > 0:
                why, unchanged = "heartbeat", False
        state.pending[i] = None
        state.status[i] = status
        state.reason[i] = None if reason is None else carried(reason)
        state.newest[i] = value
        state.src[i] = src
        state.seen[i] = ts
        if unchanged:
            return None
        return self.say(i, src if why is None and src is not None and believed else ts, src, why, ts)

    def _later(self, i: int, wanted: int, arrival: int) -> int:
        """`ts` of a reading whose time is not after the tag's last one."""
        last = self.state.stamp[i]
        when = instant(wanted, last, arrival)
        if when == last:
            self.state.crowded.append(i)
        return when

    def say(self, i: int, when: int, src: int | None, why: Why | None, arrival: int) -> Reading:
        """The newest state of a tag as a reading that wants to be asserted for `when`."""
        rule, state = self.rules[i], self.state
        if when <= state.stamp[i]:
            when = self._later(i, when, arrival)
        state.stamp[i] = when
        value = state.reported[i] = state.newest[i]
        status = state.status[i]
        if rule.silence:
            state.said[i] = self.now
            self.due = min(self.due, self.now + rule.silence)
        quality: Quality = quality_of(status)
        return Reading(
            tag=self.names[i],
            value=value,
            ts=when,
            quality=quality,
            src=src if src != when else None,
            unit=rule.unit,
            label=None if rule.enum is None else _label(rule.enum, value),
            code=name_of(status) if status else None,
            status=status or None,
            reason=state.reason[i],
            why=why,
        )


def _shorts(rules: Iterable[Rule]) -> list[_Short]:
    """The same one for all tags that share a rule."""
    found: dict[int, _Short] = {}
    return [found.get(id(rule)) or found.setdefault(id(rule), rule[:5]) for rule in rules]


def _label(enum: Mapping[int, str], value: object) -> str | None:
    return enum.get(value) if type(value) in _LABELLED else None  # type: ignore[call-overload]
