"""The normalizer of one device: what is said, when, and why."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from agent.core.clock import Clock
from agent.core.flow import Answer, Batch, Quality, Reading, Sample, Why
from agent.core.quality import BAD_NO_COMMUNICATION, BAD_OUT_OF_SERVICE, name_of, quality_of
from agent.core.text import carried
from agent.normalize.cache import ColumnCache
from agent.normalize.columns import Column
from agent.normalize.convert import Verdict
from agent.normalize.instants import instant
from agent.normalize.past import past_batch
from agent.normalize.rules import Report, Rule, compile_rule
from agent.normalize.state import NEVER, State
from agent.settings.tags import TagBase
from agent.telemetry.logging import get_logger

_HIGH = 0xFFFF0000
_BAD = 0x80000000
_NO_LABELS: Mapping[Any, str] = {}
_LABELLED = (int, float, bool)

log = get_logger("normalize")


def compile_normalizer(
    device: str,
    tags: Mapping[str, TagBase],
    *,
    cat: Callable[[], int],
    clock: Clock,
    default_report: Report = "every",
) -> Normalizer:
    """The normalizer of one device, from its tag table (positions in samples count in its order).

    `cat` gives the version of the device's tag catalogue; `default_report` is for tags that name none. The tags of a
    disabled device come with `enabled: false` each.
    """
    rules = [compile_rule(name, tag, report=default_report) for name, tag in tags.items()]
    return Normalizer(device, rules, cat=cat, clock=clock, report=default_report)


class Normalizer:
    """The port `core.ports.Normalizer`. One per device, for the life of its configuration.

    Three paths, fastest first: groups of whole columns (columns.py), value by value for good answers (`_good`), and
    value by value with every rule (`_one`). Each leaves to the next what it does not understand.
    """

    def __init__(
        self, device: str, rules: Sequence[Rule], *, cat: Callable[[], int], clock: Clock, report: Report = "every"
    ) -> None:
        self._device = device
        self._report = report
        self._rules = list(rules)
        self._own = {i for i, rule in enumerate(rules) if rule.enum}  # tags whose texts the configuration gives
        self._short = [rule[:6] for rule in rules]  # what `_good` unpacks per value
        self._cat = cat
        self._clock = clock
        self._state = State(len(rules))
        self._columns = ColumnCache(rules, self._state)
        self._gone: dict[str, int] = {}  # newest `ts` of tags that were configured, or found, and are not now
        self._awaited = NEVER  # said to wait for their first values
        self._lost = False  # said offline, nothing answered since
        self._crowded: set[int] = set()  # tags of which it was logged that their ts repeats
        self._silent = [i for i, rule in enumerate(rules) if rule.silence]
        self._due = float("inf")  # no heartbeat can be due before (monotonic seconds)
        self._now = 0.0  # monotonic seconds of the sample at hand; kept only where heartbeats exist
        self._hot = False  # a heartbeat may be due with the sample at hand

    def __call__(self, sample: Sample, /) -> Batch | None:
        if self._silent:
            self._now = self._clock.monotonic()
            self._hot = self._now >= self._due
        unset = not self._clock.synced
        if sample.history:
            return past_batch(self._device, self._rules, sample, self._cat())
        if sample.found:
            self._find(sample.found)
        if sample.labels:
            self._learn(sample.labels)
        readings: list[Reading] = []
        plain = 0  # readings known to be good
        if sample.outage is not None:
            self._outage(sample.outage, sample.ts, readings)
        for answer in sample.answers:
            self._lost = False
            plain += self._answer(answer, readings)
        if self._hot:
            self._heartbeats(sample.ts, readings, sample.unconfirmed)
        if not readings:
            return None
        if self._state.crowded:
            self._tell_crowded()
        batch = Batch(device=self._device, ts=sample.ts, readings=readings, cat=self._cat())
        if unset:
            batch.clock = "unsynced"
        if plain != len(readings):
            qualities = [reading.quality for reading in readings]
            batch.bad = qualities.count("bad")
            batch.uncertain = qualities.count("uncertain")
        return batch

    def awaits(self, since: int, /) -> None:
        """An answer that was under way while a snapshot was made is a moment older than what the snapshot said."""
        self._awaited = since
        stamp = self._state.stamp
        for i, why in enumerate(self._state.pending):
            if why == "initial":
                stamp[i] = max(stamp[i], since)

    def times(self) -> dict[str, int]:
        """The newest `ts` of each tag, those that are gone among them."""
        self._columns.release()
        return {**self._gone, **dict(zip(self._names(), self._state.stamp, strict=True))}

    def begin_after(self, times: Mapping[str, int], /) -> None:
        """Times never go back, also where the device, or a tag, was not configured for a while."""
        self._state.begin_after([times.get(name, NEVER) for name in self._names()])
        self._gone = {name: times[name] for name in times.keys() - set(self._names())}

    def _names(self) -> list[str]:
        return [rule.name for rule in self._rules]

    def resume(self, before: Normalizer, same: Callable[[str], bool], /) -> None:
        """Go on where the normalizer of the same device's former configuration leaves off, which is of no more use.

        Tags that `same` names go on as if nothing had happened: deadband, heartbeat, what was said last. The others
        begin, later than their last `ts`.
        """
        self.begin_after(before.times())
        self.awaits(before._awaited)
        positions = {name: i for i, name in enumerate(before._names()) if same(name)}
        kept = {i: positions[name] for i, name in enumerate(self._names()) if name in positions}
        self._state.carry(before._state, kept)
        for i, at in kept.items():
            if i not in self._own and before._rules[at].enum:
                self._label(i, before._rules[at].enum)
        self._columns = ColumnCache(self._rules, self._state)
        self._lost = before._lost
        self._due = before._due

    def set_back(self, by: int, /) -> None:
        """Times never go back, but for this: what was said for a time that is still to come now was said too late."""
        self._columns.release()
        now, state = self._clock.now_ms(), self._state
        for times in (state.stamp, state.seen):
            times[:] = [one + by if one > now else one for one in times]

    def _learn(self, labels: Mapping[int, Mapping[int, str]]) -> None:
        """The device's own texts for numbers; those of the configuration stand above them."""
        self._columns.release()
        for i, texts in labels.items():
            if i not in self._own:
                self._label(i, {number: carried(text) for number, text in texts.items()} or None)
        self._columns = ColumnCache(self._rules, self._state)

    def _label(self, i: int, enum: dict[int, str] | None) -> None:
        self._rules[i] = self._rules[i]._replace(enum=enum, kind="each")
        self._short[i] = self._rules[i][:6]

    def _find(self, names: Sequence[str]) -> None:
        """Tags the device was found to have: nothing is configured for them."""
        self._columns.release()
        self._rules += [compile_rule(name, TagBase(), report=self._report) for name in names]
        self._short += [rule[:6] for rule in self._rules[-len(names) :]]
        self._state.extend(len(names))
        self._state.stamp[-len(names) :] = [max(self._awaited, self._gone.pop(name, NEVER)) for name in names]
        self._columns = ColumnCache(self._rules, self._state)

    # --- answers --------------------------------------------------------------------------------------------------

    def _answer(self, answer: Answer, out: list[Reading]) -> int:
        """Append what one answer says; how many of those are good for certain."""
        tags, values, status, srcs = answer.tags, answer.values, answer.status, answer.src
        statuses = None if isinstance(status, int) else status
        columns = (values, statuses, srcs, answer.doubted)
        if any(column is not None and len(column) != len(tags) for column in columns):
            raise ValueError(f"{self._device}: the columns of an answer differ in length")
        if answer.doubted is not None or (status if statuses is None else any(statuses)):
            self._any(answer, out)
            return 0
        column = self._columns.get(tags)
        if column is None:
            self._good(tags, values, answer.ts, srcs, out)
            return 0
        return self._column(column, answer, out)

    def _column(self, column: Column, answer: Answer, out: list[Reading]) -> int:
        values, srcs = answer.values, answer.src
        plain = 0
        for pick, group, members in column.groups:
            mine = values if pick is None else pick(values)
            sources = srcs if pick is None or srcs is None else pick(srcs)
            made = group.readings(mine, answer.ts, sources)
            if made is None:
                self._good(members, mine, answer.ts, sources, out)
            else:
                plain += len(made)
                out += made
        if column.rest:
            rest = column.rest
            sources = None if srcs is None else [srcs[place] for place in rest]
            self._good(column.rest_tags, [values[place] for place in rest], answer.ts, sources, out)
        return plain

    def _good(
        self,
        tags: Sequence[int],
        values: Sequence[object],
        ts: int,
        srcs: Sequence[int | None] | None,
        out: list[Reading],
    ) -> None:
        """Values whose status is plain good: the ordinary ones here, the others by `_one`."""
        state = self._state
        rules, owner, pending, status, stamp = self._short, state.owner, state.pending, state.status, state.stamp
        newest, own, seen, now, hot = state.newest, state.src, state.seen, self._now, self._hot
        if srcs is None:
            srcs = [None] * len(tags)
        for i, raw, src in zip(tags, values, srcs):  # noqa: B905 - lengths were checked
            name, unit, convert, differs, enum, silence = rules[i]
            value = convert(raw)
            if type(value) is Verdict or pending[i] or status[i] or owner[i] or (hot and silence):
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
            out.append(Reading(name, value, when, "good", src, unit, label))

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
        self, i: int, raw: object, status: int, src: int | None, ts: int, reason: str | None, *, believed: bool = True
    ) -> Reading | None:
        """One value with every rule. None where it is unchanged and need not be said.

        A source time that is not `believed` is only shown: the value is asserted for the time it arrived.
        """
        rule, state = self._rules[i], self._state
        owner = state.owner[i]
        if owner is not None:
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
            if unchanged and self._hot and self._now - state.said[i] >= rule.silence > 0:
                why, unchanged = "heartbeat", False
        state.pending[i] = None
        state.status[i] = status
        state.reason[i] = None if reason is None else carried(reason)
        state.newest[i] = value
        state.src[i] = src
        state.seen[i] = ts
        if unchanged:
            return None
        return self._say(i, src if why is None and src is not None and believed else ts, src, why, ts)

    # --- outages and heartbeats -------------------------------------------------------------------------------------

    def _outage(self, reason: str, ts: int, out: list[Reading]) -> None:
        """Every enabled tag is bad from now on, said once."""
        if self._lost:
            return
        self._lost = True
        self._columns.release()
        state = self._state
        for i, rule in enumerate(self._rules):
            if rule.enabled:
                state.status[i] = BAD_NO_COMMUNICATION
                state.reason[i] = carried(reason)
                state.newest[i] = None
                state.seen[i] = ts
                state.pending[i] = "recovered"
                out.append(self._say(i, ts, state.src[i], "offline", ts))

    def _heartbeats(self, ts: int, out: list[Reading], unconfirmed: Container[int]) -> None:
        """Say again what was not said for its `max_silence`, with the value's own time as `src`.

        What nobody has confirmed lately waits: saying it again would assert it.
        """
        state, now = self._state, self._now
        due = float("inf")
        for i in self._silent:
            silence = self._rules[i].silence
            if now - state.said[i] >= silence:
                if i in unconfirmed:
                    due = min(due, now + silence / 16)
                    continue
                src = state.src[i]
                out.append(self._say(i, ts, state.seen[i] if src is None else src, "heartbeat", ts))
            due = min(due, state.said[i] + silence)
        self._due = due

    def _later(self, i: int, wanted: int, arrival: int) -> int:
        """`ts` of a reading whose time is not after the tag's last one."""
        last = self._state.stamp[i]
        when = instant(wanted, last, arrival)
        if when == last:
            self._state.crowded.append(i)
        return when

    def _tell_crowded(self) -> None:
        crowded = self._state.crowded
        fresh = [i for i in dict.fromkeys(crowded) if i not in self._crowded]
        crowded.clear()
        if fresh:
            self._crowded.update(fresh)
            log.warning("tag.faster_than_ms", device=self._device, tag=self._rules[fresh[0]].name, tags=len(fresh))

    def _say(self, i: int, when: int, src: int | None, why: Why | None, arrival: int) -> Reading:
        """The newest state of a tag as a reading that wants to be asserted for `when`."""
        rule, state = self._rules[i], self._state
        if when <= state.stamp[i]:
            when = self._later(i, when, arrival)
        state.stamp[i] = when
        value = state.reported[i] = state.newest[i]
        status = state.status[i]
        if rule.silence:
            state.said[i] = self._now
            self._due = min(self._due, self._now + rule.silence)
        quality: Quality = quality_of(status)
        return Reading(
            tag=rule.name,
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


def _label(enum: Mapping[int, str], value: object) -> str | None:
    return enum.get(value) if type(value) in _LABELLED else None  # type: ignore[call-overload]
