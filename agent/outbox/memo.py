"""Small durable notes of a route. They live in the outbox's file and travel with its commits."""

from __future__ import annotations

from collections.abc import Mapping


class CachedMemo:
    """The port `Memo`: read from memory, written with the next commit."""

    def __init__(self) -> None:
        self._notes: dict[str, bytes] = {}
        self.dirty: dict[str, bytes | None] = {}

    def load(self, stored: Mapping[str, bytes]) -> None:
        """Take in what the file knows; what was put since is newer."""
        self._notes = {**stored, **{key: value for key, value in self.dirty.items() if value is not None}}
        for key, value in self.dirty.items():
            if value is None:
                self._notes.pop(key, None)

    def get(self, key: str, /) -> bytes | None:
        return self._notes.get(key)

    def put(self, key: str, value: bytes | None, /) -> None:
        if self._notes.get(key) == value:
            return  # already so: no commit for nothing
        if value is None:
            del self._notes[key]
        else:
            self._notes[key] = value
        self.dirty[key] = value

    def take(self) -> dict[str, bytes | None]:
        """What the next transaction has to write."""
        taken, self.dirty = self.dirty, {}
        return taken

    def put_back(self, taken: dict[str, bytes | None]) -> None:
        """The transaction did not happen."""
        self.dirty = {**taken, **self.dirty}
