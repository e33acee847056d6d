"""The normalizer of one device: what is published, when, and why."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

from agent.core.clock import Clock
from agent.core.columns import ReadingColumns
from agent.core.flow import Batch, Reading, Sample, TagFacts
from agent.core.quality import BAD_NO_COMMUNICATION
from agent.core.text import carried
from agent.normalize.joined import Joined
from agent.normalize.past import past_batch
from agent.normalize.rules import Report, Rule, compile_rules
from agent.normalize.state import NEVER
from agent.normalize.values import TagValues
from agent.settings.tags import TagBase
from agent.telemetry.logging import get_logger

log = get_logger("normalize")


def compile_normalizer(
    device: str,
    tags: Mapping[str, TagBase],
    *,
    cat: Callable[[], int],
    clock: Clock,
    default_report: Report = "every",
    found: Callable[[str], TagBase] = lambda _name: TagBase(),
) -> DeviceNormalizer:
    """The normalizer of one device, from its tag table (positions in samples count in its order).

    `cat` gives the version of the device's tag catalogue; `default_report` is for tags that name none; `found` has the
    keys of tags the device is found to have. The tags of a disabled device come with `enabled: false` each.
    """
    rules = compile_rules(tags.values(), report=default_report)
    return DeviceNormalizer(device, list(tags), rules, cat=cat, clock=clock, report=default_report, found=found)


class DeviceNormalizer:
    """The port `core.ports.Normalizer`. One per device, for the life of its configuration."""

    def __init__(
        self, device: str, names: Sequence[str], rules: Sequence[Rule], *, cat: Callable[[], int], clock: Clock,
        report: Report = "every", found: Callable[[str], TagBase] = lambda _name: TagBase(),
    ) -> None:  # fmt: skip
        self._device = device
        self._report = report
        self._found = found
        self._values = TagValues(device, names, rules)
        self._joined = Joined()
        self._own = {i for i, rule in enumerate(rules) if rule.enum}  # tags whose texts the configuration gives
        self._cat = cat
        self._clock = clock
        self._gone: dict[str, int] = {}  # newest `ts` of tags that were configured, or found, and are not now
        self._awaited = NEVER  # said to wait for their first values
        self._lost = False  # its tags were published as offline, nothing has answered since
        self._crowded: set[int] = set()  # tags of which it was logged that their ts repeats
        self._silent = [i for i, rule in enumerate(rules) if rule.silence]

    def __call__(self, sample: Sample, /) -> Batch | None:
        values = self._values
        if sample.found or sample.facts or sample.labels:
            self._heed(sample)
        if self._silent:
            values.now = self._clock.monotonic()
            values.hot = values.now >= values.due
        unset = not self._clock.synced
        if sample.history:
            return past_batch(self._device, values.names, values.rules, sample, self._cat())
        readings: list[Reading] = []
        whole: list[ReadingColumns] = []  # of those, what whole columns say: all good
        if sample.outage is not None:
            self._outage(sample.outage, sample.ts, readings)
        for answer in sample.answers:
            self._lost = False
            values.read(answer, readings, whole)
        if values.hot:
            self._heartbeats(sample.ts, readings, sample.unconfirmed)
        if not readings:
            return None
        if values.state.crowded:
            self._tell_crowded()
        batch = Batch(device=self._device, ts=sample.ts, readings=readings, cat=self._cat())
        if unset:
            batch.clock = "unsynced"
        if len(whole) == 1 and len(whole[0].values) == len(readings):
            batch.columns = whole[0]
        elif len(readings) == sum([len(part.values) for part in whole]):
            batch.columns = self._joined(whole)
        else:
            qualities = [reading.quality for reading in readings]
            batch.bad = qualities.count("bad")
            batch.uncertain = qualities.count("uncertain")
        return batch

    def _heed(self, sample: Sample) -> None:
        """What the device says about itself beside its values."""
        if sample.found:
            self._find(sample.found)
        if sample.facts:
            self._tell(sample.facts)
        if sample.labels:
            self._learn(sample.labels)

    def awaits(self, since: int, /) -> None:
        """An answer that was under way while a snapshot was made is a moment older than what the snapshot said."""
        self._awaited = since
        stamp = self._values.state.stamp
        for i, why in enumerate(self._values.state.pending):
            if why == "initial":
                stamp[i] = max(stamp[i], since)

    def times(self) -> dict[str, int]:
        """The newest `ts` of each tag, those that are gone among them."""
        self._values.settle()
        return {**self._gone, **dict(zip(self._values.names, self._values.state.stamp, strict=True))}

    def begin_after(self, times: Mapping[str, int], /) -> None:
        """Times never go back, also where the device, or a tag, was not configured for a while."""
        names = self._values.names
        self._values.state.begin_after([times.get(name, NEVER) for name in names])
        self._gone = {name: times[name] for name in times.keys() - set(names)}

    def resume(self, before: DeviceNormalizer, same: Callable[[str], bool], /) -> None:
        """Go on where the normalizer of the same device's former configuration leaves off, which is of no more use.

        Tags that `same` names go on as if nothing had happened: deadband, heartbeat, what was said last. The others
        begin, later than their last `ts`.
        """
        self.begin_after(before.times())
        self.awaits(before._awaited)
        positions = {name: i for i, name in enumerate(before._values.names) if same(name)}
        kept = {i: positions[name] for i, name in enumerate(self._values.names) if name in positions}
        self._values.state.carry(before._values.state, kept)
        for i, at in kept.items():
            if i not in self._own and before._values.rules[at].enum:
                self._values.label(i, before._values.rules[at].enum)
        self._values.compile()
        self._lost = before._lost
        self._values.due = before._values.due

    def set_back(self, by: int, /) -> None:
        """Times never go back, but for this: what was said for a time that is still to come now was said too late."""
        self._values.settle()
        now, state = self._clock.now_ms(), self._values.state
        for times in (state.stamp, state.seen):
            times[:] = [one + by if one > now else one for one in times]
        self._gone = {name: one + by if one > now else one for name, one in self._gone.items()}

    def _learn(self, labels: Mapping[int, Mapping[int, str]]) -> None:
        """The device's own texts for numbers; those of the configuration stand above them."""
        self._values.settle()
        for i, texts in labels.items():
            if i not in self._own:
                self._values.label(i, {number: carried(text) for number, text in texts.items()} or None)
        self._values.compile()

    def _find(self, names: Sequence[str]) -> None:
        """Tags the device was found to have."""
        rules = compile_rules(map(self._found, names), report=self._report)
        first = len(self._values.rules)
        self._own |= {i for i, rule in enumerate(rules, first) if rule.enum}
        self._silent += [i for i, rule in enumerate(rules, first) if rule.silence]
        self._values.add(names, rules)
        self._values.state.stamp[-len(names) :] = [max(self._awaited, self._gone.pop(name, NEVER)) for name in names]

    def _tell(self, facts: Mapping[int, TagFacts]) -> None:
        """What the device says about tags it was found to have: their unit travels with each reading."""
        self._values.settle()
        for i, said in facts.items():
            self._values.measure(i, self._found(self._values.names[i]).told_by(said).unit)
        self._values.compile()

    # --- outages and heartbeats -------------------------------------------------------------------------------------

    def _outage(self, reason: str, ts: int, out: list[Reading]) -> None:
        """Every enabled tag is bad from now on, reported once."""
        if self._lost:
            return
        self._lost = True
        self._values.settle()
        state = self._values.state
        for i, rule in enumerate(self._values.rules):
            if rule.enabled:
                state.status[i] = BAD_NO_COMMUNICATION
                state.reason[i] = carried(reason)
                state.newest[i] = None
                state.seen[i] = ts
                state.pending[i] = "recovered"
                out.append(self._values.say(i, ts, state.src[i], "offline", ts))

    def _heartbeats(self, ts: int, out: list[Reading], unconfirmed: Container[int]) -> None:
        """Say again what was not said for its `max_silence`, with the value's own time as `src`.

        What nobody has confirmed lately waits: saying it again would assert it.
        """
        state, now = self._values.state, self._values.now
        due = float("inf")
        for i in self._silent:
            silence = self._values.rules[i].silence
            if now - state.said[i] >= silence:
                if i in unconfirmed:
                    due = min(due, now + silence / 16)
                    continue
                src = state.src[i]
                out.append(self._values.say(i, ts, state.seen[i] if src is None else src, "heartbeat", ts))
            due = min(due, state.said[i] + silence)
        self._values.due = due

    def _tell_crowded(self) -> None:
        crowded = self._values.state.crowded
        fresh = [i for i in dict.fromkeys(crowded) if i not in self._crowded]
        crowded.clear()
        if fresh:
            self._crowded.update(fresh)
            log.warning("tag.faster_than_ms", device=self._device, tag=self._values.names[fresh[0]], tags=len(fresh))
