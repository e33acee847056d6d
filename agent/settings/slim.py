"""Tags take a fifth of the memory: there are tens of thousands of them, and they stay for the next reload.

pydantic gives each model a dictionary and a set of its own, 1.3 kB for a tag with its 27 keys. Python keeps the names
of attributes once a class, where all objects get theirs by assignment; but only for a class whose names it has seen
before many objects were made. So each class of tags shows them when it is made, and what was validated is assigned to a
bare object. What tags have in common (limits, which keys were given) is kept once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from itertools import repeat
from typing import TypeVar

from pydantic import BaseModel

ModelT = TypeVar("ModelT", bound=BaseModel)
_assign = object.__setattr__
_PLAIN = frozenset({bool, float, int, str, type(None)})


def show_names(model: type[BaseModel]) -> None:
    """Let the class know the names of its fields before there are objects of it."""
    first = object.__new__(model)
    for name in model.model_fields:
        _assign(first, name, None)


class Slimmer:
    """Makes the slim forms of models that are much alike. One for a device."""

    def __init__(self) -> None:
        self._sets: dict[frozenset[str], set[str]] = {}
        self._models: dict[Hashable, BaseModel] = {}

    def slim(self, model: ModelT) -> ModelT:
        """An equal model. The given one is not changed, and of no more use."""
        new = object.__new__(type(model))
        values, given = model.__dict__, model.model_fields_set
        for name in given:
            if isinstance(value := values[name], BaseModel):
                values[name] = self._shared(value)
        deque(map(_assign, repeat(new), values, values.values()), 0)
        _assign(new, "__pydantic_fields_set__", self._sets.setdefault(frozenset(given), given))
        _assign(new, "__pydantic_extra__", model.__pydantic_extra__)
        _assign(new, "__pydantic_private__", model.__pydantic_private__)
        return new

    def _shared(self, model: BaseModel) -> BaseModel:
        """The first model of the same plain values."""
        values = tuple(model.__dict__.values())
        kinds = tuple(map(type, values))  # 1 and 1.0 are equal
        if not _PLAIN.issuperset(kinds):
            return model
        return self._models.setdefault((type(model), frozenset(model.model_fields_set), kinds, values), model)
