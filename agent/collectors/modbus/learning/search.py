"""The search for what a device refuses: blocks are cut in half until the bad tags stand alone. Pure.

    refused ─▶ halves ─▶ read ─▶ asked as it is from now on
                  └─▶ refused again ─▶ halves … ─▶ a single item: condemned

Halves are asked after the regular blocks and only as far as the `Allowance` goes: at once on a fast link, spread
over cycles on a slow bus. Condemned tags go to quarantine once the device has answered anything at all; a device that
refuses everything (it is booting, say) is not learned from.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.collectors.modbus.blocks.plan import Block, BlockLimits, halves
from agent.collectors.modbus.blocks.reactions import Reaction, reaction_to

_TOO_MANY = reaction_to(3)


class Split(NamedTuple):
    """A block that was refused whole."""

    block: Block
    before: int  #: the tag it was cut before
    reaction: Reaction


class Lesson(NamedTuple):
    """What a finished search says about a device."""

    cuts: frozenset[int] = frozenset()  #: tags that blocks must be cut before
    max_registers: int | None = None
    max_bits: int | None = None


class Search:
    """One search: from the first refusal until nothing is left to be cut."""

    def __init__(self) -> None:
        self.todo: list[Block] = []
        self.held: dict[int, Reaction] = {}  #: tags that are in no regular block, by position
        self.condemned: dict[int, Reaction] = {}  #: refused alone
        self._suspect: list[Block] = []  #: condemned before the device had said anything good
        self._splits: list[Split] = []
        self._read: set[int] = set()
        self._largest = {False: 0, True: 0}  #: registers, bits of the largest block read
        self._good = False

    def __bool__(self) -> bool:
        """Whether a search is on."""
        return bool(self.held)

    @property
    def cuts(self) -> frozenset[int]:
        """Where blocks are cut while the search is on: not where a bad tag may explain the refusal."""
        return frozenset(
            split.before for split in self._splits if split.reaction == _TOO_MANY or self._read_in_parts(split)
        )

    def _read_in_parts(self, split: Split) -> bool:
        return self._read.issuperset(point.position for point in split.block.points)

    def refused(self, block: Block, reaction: Reaction, limits: BlockLimits) -> None:
        """A block was refused: its halves are to be asked; a single item is condemned."""
        positions = [point.position for point in block.points]
        parts = halves(block, limits)
        self.held.update(dict.fromkeys(positions, reaction))
        if parts is None:
            self.condemned.update(dict.fromkeys(positions, reaction))
            if not self._good:
                self._suspect.append(block)
            return
        self._splits.append(Split(block, parts[1].points[0].position, reaction))
        self.todo.extend(parts)

    def was_read(self, block: Block) -> None:
        """A half could be read."""
        positions = [point.position for point in block.points]
        self._read.update(positions)
        for position in positions:
            self.held.pop(position, None)
        of_bits = block.area in ("coil", "discrete")
        self._largest[of_bits] = max(self._largest[of_bits], block.count)
        self.device_answers()

    def device_answers(self) -> None:
        """The device has answered something. What was condemned before is asked once more: it may have been booting."""
        if self._good:
            return
        self._good = True
        self.todo.extend(self._suspect)
        for block in self._suspect:
            for point in block.points:
                del self.condemned[point.position]
        self._suspect = []

    def verdicts(self) -> dict[int, Reaction]:
        """Condemned tags to put into quarantine, each once. None as long as the device has refused everything."""
        if not self._good:
            return {}
        verdicts, self.condemned = self.condemned, {}
        for position in verdicts:
            self.held.pop(position, None)
        return verdicts

    @property
    def hopeless(self) -> bool:
        """Everything has been asked, and everything was refused."""
        return bool(self.held) and not self.todo and not self._good

    def lesson(self) -> Lesson | None:
        """What is left of it when it is over; None while it is on."""
        if self.held or self.todo:
            return None
        whole = [split for split in self._splits if self._read_in_parts(split)]
        registers, bits = self._smaller(whole, of_bits=False), self._smaller(whole, of_bits=True)
        explained = {False: registers, True: bits}
        cuts = {
            split.before
            for split in whole
            if (limit := explained[split.block.area in ("coil", "discrete")]) is None or split.block.count <= limit
        }
        return Lesson(frozenset(cuts), registers, bits)

    def _smaller(self, whole: list[Split], *, of_bits: bool) -> int | None:
        """The most a device takes in one request, where it said that it was too much."""
        refused = [
            split.block.count
            for split in whole
            if split.reaction == _TOO_MANY and (split.block.area in ("coil", "discrete")) == of_bits
        ]
        largest = self._largest[of_bits]
        return largest if refused and 0 < largest < min(refused) else None
