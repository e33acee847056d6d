# noqa: INP001 - a script
"""Third-party notices: name, version, licence and licence texts of every distribution beside the running Python.

.venv/bin/python deploy/notices.py > NOTICES        the image has it as /usr/share/doc/edge-agent/NOTICES
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, distributions
from typing import Any

_TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")
_HEAD = """This product contains the following software of others. Each part keeps its licence.
What is LGPL is here unchanged, as a Python package of its own that whoever has the product may replace.
"""
_OWN = "industrial-edge-agent"


def licence(one: Distribution) -> str:
    """As the distribution says it."""
    about: Any = one.metadata  # a message, whose `get` its annotation lacks
    classifiers = about.get_all("Classifier") or ()
    classified = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License ::")]
    said = about.get("License-Expression") or ", ".join(classified) or (about.get("License") or "").partition("\n")[0]
    return str(said or "see the text below")


def texts(one: Distribution) -> list[str]:
    """Of the files that look like a licence."""
    named = [file for file in one.files or () if file.name.upper().startswith(_TEXTS) and ".dist-info" in str(file)]
    return [file.locate().read_text(encoding="utf-8", errors="replace").strip() for file in named]  # type: ignore[attr-defined]


def notices() -> str:
    """The document."""
    parts = [_HEAD]
    for one in sorted(distributions(), key=lambda found: str(found.metadata["Name"]).lower()):
        if one.metadata["Name"] != _OWN:
            parts.append(f"{'=' * 78}\n{one.metadata['Name']} {one.version}: {licence(one)}\n")
            parts += [f"{text}\n" for text in texts(one)]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(notices())
