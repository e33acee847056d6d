"""What every configuration model is.

They are read once, compiled into plans and dropped: nothing on the path of a reading looks at them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class Model(BaseModel):
    """Frozen, no unknown keys; field docstrings become the reference.

    They are read from the source when somebody asks, not by pydantic (`use_attribute_docstrings`) when the class is
    made: for all classes that is a sixth of a start.
    """

    # compiled when they are asked: most are parts of others, and never are. 0.4 MB of an agent
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, about in described(cls).items():
            key = properties.get(cls.model_fields[name].alias or name)
            if key is not None and handler.resolve_ref_schema(key).get("description") != about:  # as pydantic has it
                key.setdefault("description", about)
        return schema


@cache
def described(model: type[BaseModel]) -> dict[str, str]:
    """What the keys of a model mean, by field; that of a base, where the model itself does not say."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, Model) and base is not Model:
            own = _docstrings(base)
            found.update({name: own.get(name, "") for name in base.__annotations__})
    return {name: about for name, about in found.items() if about and name in model.model_fields}


def _docstrings(model: type[Any]) -> dict[str, str]:
    """The text under each attribute of a class."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    except (OSError, SyntaxError, TypeError):  # without its source
        return {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(statements)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }  # fmt: skip
