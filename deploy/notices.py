# noqa: INP001 - a script
"""Third-party notices of what is shipped: name, version, licence and its text of every distribution in
deploy/lock/runtime.txt, as installed beside the running Python, and of what is bundled into the page.

.venv/bin/python deploy/notices.py > NOTICES        the image has it as /usr/share/doc/edge-agent/NOTICES
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_LOCK = _ROOT / "deploy" / "lock" / "runtime.txt"
_PAGE = _ROOT / "agent" / "web" / "page" / "notices.txt"

_TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")
_HEAD = """This product contains the following software of others. Each part keeps its licence.
What is LGPL is here unchanged, as a Python package of its own that every user may replace.
"""


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
    shipped = {normal(pin) for pin in re.findall(r"^([\w.-]+)==", _LOCK.read_text(encoding="utf-8"), re.MULTILINE)}
    parts = [_HEAD]
    for one in sorted(distributions(), key=lambda found: str(found.metadata["Name"]).lower()):
        if normal(str(one.metadata["Name"])) in shipped:
            parts.append(f"{'=' * 78}\n{one.metadata['Name']} {one.version}: {licence(one)}\n")
            parts += [f"{text}\n" for text in texts(one)]
    return "\n".join([*parts, _PAGE.read_text(encoding="utf-8")])


def normal(name: str) -> str:
    """The name of a distribution as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.stdout.write(notices())
