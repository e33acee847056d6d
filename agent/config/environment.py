"""`${NAME}` in text takes an environment variable; `$${` writes a literal `${`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.settings.values import FromEnvironment

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EnvironmentMistake(ValueError):
    """A reference that cannot be put in. `str()` says what was found, `hint` what to write."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`text` with its references put in; a `FromEnvironment` where it is nothing but one reference.

    Raises EnvironmentMistake for an unset variable or a malformed reference. Never repeats a variable's content.
    """
    whole = _REFERENCE.fullmatch(text)
    if whole is not None and text != "$${":
        return FromEnvironment(_value(whole, environ))
    return _REFERENCE.sub(lambda match: "${" if match[0] == "$${" else _value(match, environ), text)


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name = match[1]
    if name is None or not _NAME.fullmatch(name):
        raise EnvironmentMistake(
            f"`{match[0]}` is not the name of an environment variable",
            "write ${NAME} with letters, digits and _; for the characters themselves write $${",
        )
    if name not in environ:
        raise EnvironmentMistake(
            f"the environment variable {name} is not set",
            f"set {name} where the agent is started, or write the value here instead of ${{{name}}}",
        )
    return environ[name]
