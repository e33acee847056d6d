"""Which topics hold a retained newest value, remembered beyond the tag's own life. Pure but for the memo."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import msgspec

from agent.core.ports import Memo

_KEY = "values.retained"


class RetainedValues:
    """A tag that is no longer configured must not leave a value behind that looks current."""

    def __init__(self, memo: Memo) -> None:
        self._memo = memo
        self._kept = _load(memo)  # by device
        self._cleared: dict[str, set[str]] = {}  # this session has emptied them; whether that arrived is not known yet
        self._seen: dict[str, Iterable[str]] = {}

    def keep(self, wanted: Mapping[str, Iterable[str]]) -> list[str]:
        """Remember where values will stand; the topics to be emptied. Cheap while nothing has changed.

        A renderer gives the same object for a device as long as its topics are the same.
        """
        if self._seen.keys() == wanted.keys() and all(self._seen[name] is topics for name, topics in wanted.items()):
            return []
        self._seen = dict(wanted)
        everything = {topic for topics in wanted.values() for topic in topics}
        stale: list[str] = []
        for device, kept in self._kept.items():
            gone = kept - everything
            stale += sorted(gone - self._cleared.get(device, set()))
            self._cleared[device] = gone
        for device, topics in wanted.items():
            if topics or device in self._kept:
                self._kept.setdefault(device, set()).update(topics)
        self._save()
        return stale

    def hand_over(self, devices: Container[str], agent: str) -> None:
        """Forget the values of `devices`, which another agent says from now on, but for those with our id in their
        topic: nobody else has these.
        """
        for device in [name for name in self._kept if name in devices]:
            ours = {topic for topic in self._kept[device] if agent in topic.split("/")}
            if ours != self._kept[device]:
                self._kept[device] = ours
                self._save()

    def settle(self) -> None:
        """What was emptied has had its time to arrive: forget it."""
        for device, topics in self._cleared.items():
            if topics and device in self._kept:
                self._kept[device] -= topics
                if not self._kept[device]:
                    del self._kept[device]
        if any(self._cleared.values()):
            self._cleared.clear()
            self._save()

    def _save(self) -> None:
        encoded = msgspec.json.encode({device: sorted(topics) for device, topics in self._kept.items()})
        if encoded != (self._memo.get(_KEY) or b"{}"):
            self._memo.put(_KEY, encoded)


def _load(memo: Memo) -> dict[str, set[str]]:
    try:
        return msgspec.json.decode(memo.get(_KEY) or b"{}", type=dict[str, set[str]])
    except msgspec.DecodeError:  # what it remembered stays retained, nothing else is lost
        return {}
