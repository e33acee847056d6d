"""`edge-agent trust`: which OPC UA server certificates the agent accepts. What it changes counts at the next try."""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli.mistakes import refusable
from agent.cli.tables import show_table
from agent.cli.words import harmless
from agent.collectors.opcua.trust.certificates import application_uri, name_of, read_certificates
from agent.collectors.opcua.trust.trustlist import TrustEntry, TrustList
from agent.config.loader import load
from agent.core.errors import PermanentError

_SHORTEST = 6  #: digits of a thumbprint that may stand for the whole


@refusable
def trust(config: Path, what: str | None, *, remove: bool = False) -> int:
    """List; or trust what a device showed or a thumbprint names (`remove`: no longer). 0: done, 1: not, 2: mistakes."""
    loaded = load(config)
    pki = loaded.config.agent.data_dir / "pki"
    try:
        os.scandir(pki).close()
    except FileNotFoundError:
        pass  # nothing is secured yet
    except OSError as error:  # not to be taken for an empty list
        sys.stderr.write(f"{pki}: {error.strerror} -> run this command as root or as the agent's user\n")
        return 1
    os.umask(0o077)  # as the agent has it
    shelf = TrustList(pki)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    if what is None:
        _list(shelf, pki, console)
        return 0
    source, target = ("trusted", "rejected") if remove else ("rejected", "trusted")
    found = _named(shelf.entries(source), what)
    if isinstance(found, str):
        sys.stderr.write(f"{found} among the {source} certificates in {pki / source}\n")
        return 1
    try:
        shelf.move(found, target, what if what in {device for device, _ in found.shown} else None)
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 1
    show_table(console, _about(found))
    when = (
        "within half a minute, on a connection that stands too" if remove else "at the next try, within half a minute"
    )
    console.print(
        f"{target}: {pki / target / (found.thumbprint + '.der')}. It counts {when}.",
        markup=False,
        soft_wrap=True,
    )
    return 0


def _named(entries: list[TrustEntry], what: str) -> TrustEntry | str:
    """The one that is meant, or why there is none. A device means what it showed last."""
    for entry in sorted(entries, key=lambda entry: entry.device != what):
        if any(device == what for device, _ in entry.shown):
            return entry
    digits = re.sub(r"[\s:]", "", what).lower()
    if re.fullmatch(r"[0-9a-f]+", digits) and len(digits) >= _SHORTEST:
        found = [entry for entry in entries if entry.thumbprint.startswith(digits)]
        if len(found) > 1:
            return f"{what} means {len(found)} certificates"
        if found:
            return found[0]
    return f"{what} is neither a device nor a thumbprint"


def _list(shelf: TrustList, pki: Path, console: Console) -> None:
    own = pki / "own" / "certificate.der"
    if own.exists():
        try:
            certificate = read_certificates(own)[0]
        except PermanentError as error:
            console.print(str(error), markup=False, soft_wrap=True)
        else:
            name = certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - the standard's thumbprint
            console.print("own: servers have to trust this one", markup=False)
            show_table(console, _about(TrustEntry(name, certificate, own)))
    for state in ("trusted", "rejected"):
        entries = shelf.entries(state)
        console.print(f"{state}: {len(entries) or 'none'}", markup=False)
        for entry in entries:
            show_table(console, _about(entry))


def _about(entry: TrustEntry) -> Table:
    certificate: x509.Certificate = entry.certificate
    over = certificate.not_valid_after_utc < dt.datetime.now(dt.UTC)
    lines = {
        "thumbprint": entry.thumbprint,
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
        "subject": harmless(name_of(certificate)),
        "application": harmless(application_uri(certificate) or "-"),
        "valid": f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        + (" (over)" if over else ""),
        "shown by": harmless(", ".join(f"{device} at {url}" for device, url in entry.shown)) or None,
        "file": str(entry.path),
    }
    table = Table("", "", box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 2))
    for key, value in lines.items():
        if value is not None:
            table.add_row(key, Text(value))
    return table
