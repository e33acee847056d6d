"""`edge-agent support-bundle`: one archive for whoever helps from afar, without secrets.

It holds what MEMBERS names and nothing else. With a running agent the agent makes the parts and redacts them; without
one the configuration is read from the files, and `contents.json` tells what could not be had and why.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from agent.cli.mistakes import report
from agent.cli.words import harmless
from agent.config.loader import Loaded, load
from agent.config.redaction import Redaction
from agent.config.shown import effective
from agent.config.whereabouts import data_dir_of, is_historian
from agent.core.errors import ConfigError
from agent.core.private import write_private
from agent.runtime.asking import ControlError, NoAgent, UnknownVerb, call
from agent.runtime.status.support import Part, SupportQuestion, versions

#: The allow-list: what the archive may hold, by the part it is made of.
MEMBERS: Mapping[Part, tuple[str, str]] = {
    "config": ("config.json", "the configuration in force, redacted, and what the last reloads changed"),
    "status": ("status.json", "what `edge-agent status --json` shows"),
    "events": ("events.json", "the last 1,000 log events, the newest first"),
    "metrics": ("metrics.txt", "the page /metrics"),
    "versions": ("versions.json", "of the agent, of Python, of the libraries and of the system"),
}
LIST = "contents.json"
FOLDER = "edge-agent-support"
MOST_BYTES = 10 << 20
#: For each part, seconds.
PATIENCE = 20.0


def support_bundle(config: Path, data_dir: Path | None, output: Path | None) -> int:
    """0: written, whatever it could hold; 1: it cannot be written; 2: no such configuration."""
    try:
        if data_dir is None and is_historian(config):
            sys.stderr.write(f"{config} is a historian's -> name the configuration of an agent\n")
            return 2
        folder = data_dir or data_dir_of(config)
    except ConfigError as error:
        report(error, sys.stderr)
        return 2
    now = datetime.now(UTC)
    target = output or Path(f"edge-agent-support-{now:%Y%m%dT%H%M%SZ}.tar.gz")
    parts, missing = _gathered(folder, None if data_dir is not None else config)
    archive, held = pack(parts, missing, now)
    try:
        write_private(target, archive)
    except OSError as error:
        sys.stderr.write(harmless(f"{target}: {error.strerror or error} -> name another file with -o") + "\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in _told(target, archive, held, missing)))
    return 0


# --- what there is ----------------------------------------------------------------------------------------------------


def _gathered(folder: Path, config: Path | None) -> tuple[dict[Part, Any], dict[Part, str]]:
    """Every part that can be had, and why the others cannot. No secret is in either."""
    parts: dict[Part, Any] = {}
    missing: dict[Part, str] = {}
    none_runs = False
    for part in get_args(Part):
        try:
            if none_runs:
                raise NoAgent(f"no agent runs on {folder}")
            parts[part] = call(folder, "support", SupportQuestion(part), object, timeout=PATIENCE)
        except ControlError as error:
            none_runs = isinstance(error, NoAgent)
            missing[part] = _without(part, error)
    loaded = None if config is None else _loaded(config, missing)
    redaction = Redaction(loaded)
    if "config" in missing and loaded is not None:
        parts["config"] = {"config": redaction(effective(loaded)), "from": f"files, read now: {missing.pop('config')}"}
    parts["versions"] = {"agent": parts.get("versions"), "command": versions()}
    missing.pop("versions", None)
    return parts, {part: redaction.text(reason) for part, reason in missing.items()}


def _without(part: Part, error: ControlError) -> str:
    if isinstance(error, UnknownVerb):
        return "the agent that runs is of another version and does not answer this"
    if isinstance(error, NoAgent) and part == "events":
        return f"{error}, and events are kept in its memory -> add its log: journalctl -u edge-agent --since -1d"
    return str(error)


def _loaded(config: Path, missing: dict[Part, str]) -> Loaded | None:
    try:
        return load(config, secrets=False)
    except ConfigError as error:
        if "config" in missing:  # the mistakes quote the files, which may hold anything: only how many
            missing["config"] += f"; mistakes in the files: {len(error.mistakes)} -> edge-agent check -c {config}"
        return None


# --- the archive ------------------------------------------------------------------------------------------------------


def pack(
    parts: Mapping[Part, Any], missing: dict[Part, str], now: datetime, most: int = MOST_BYTES
) -> tuple[bytes, dict[str, int]]:
    """The archive and the size of each member in it. While it is larger than `most`, the largest part is left out.

    What is left out is entered in `missing`.
    """
    members = {part: _encoded(content) for part, content in parts.items()}
    while True:
        held = {MEMBERS[part][0]: len(content) for part, content in members.items()}
        listed = {
            "made": now.isoformat(timespec="seconds"),
            "held": {MEMBERS[part][0]: {"what": MEMBERS[part][1], "bytes": len(members[part])} for part in members},
            "missing": {MEMBERS[part][0]: reason for part, reason in missing.items()},
        }
        archive = _tar({LIST: _encoded(listed), **{MEMBERS[part][0]: members[part] for part in members}}, now)
        if len(archive) <= most or not members:
            return archive, held
        largest = max(members, key=lambda part: len(members[part]))
        missing[largest] = (
            f"with its {len(members.pop(largest)) >> 10} KiB the archive would be larger than {most} bytes"
        )


def _encoded(content: Any) -> bytes:
    text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _tar(members: Mapping[str, bytes], now: datetime) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(now.timestamp())
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _told(target: Path, archive: bytes, held: Mapping[str, int], missing: Mapping[Part, str]) -> Iterator[str]:
    yield harmless(f"{target}: {len(archive) >> 10} KiB, without secrets; look into it before you send it")
    what = dict(MEMBERS.values())
    for name, size in held.items():
        yield f"  {name:<14} {size:>9,} bytes  {what[name]}"
    for part, reason in missing.items():
        yield harmless(f"  {MEMBERS[part][0]:<14} not in it: {reason}")
