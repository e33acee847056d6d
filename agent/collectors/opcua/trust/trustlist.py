"""The trust list on disk: which server certificates are accepted (OPC 10000-4, 6.1.3; OPC 10000-12, 7.8).

    pki/trusted/    accepted as they are, by the devices in <thumbprint>.json or, where there is none, by each;
                    an authority without devices vouches for all it has issued
    pki/issuers/    authorities needed to build a chain, not trusted by themselves; *.crl: what they have revoked
    pki/rejected/   <thumbprint>.der: seen and refused, with who showed it in <thumbprint>.json

Read at every connection, so that what a person moves takes effect without a restart.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.collectors.opcua.trust.certificates import LARGEST, read_certificates, thumbprint
from agent.collectors.opcua.trust.chain import ClaimedIdentity, Objection, Shelf, Trusted, objection
from agent.collectors.opcua.trust.files import make_folder, write_durably
from agent.core.errors import PermanentError, TransientError, exhausted
from agent.core.regular import read_regular

_SUFFIXES = {".der", ".pem", ".crt", ".cer"}
_ANYBODY = ClaimedIdentity()
_MOST_SHOWN = 100  #: devices that are remembered with one certificate
_MOST_REJECTED = 100  #: a stranger that shows a new certificate each time must not fill the disk


class TrustEntry(NamedTuple):
    """A certificate of the list, for people."""

    thumbprint: str
    certificate: x509.Certificate
    path: Path
    shown: Sequence[tuple[str, str]] = ()  #: device and URL, the last first

    @property
    def device(self) -> str | None:
        """Who showed it last."""
        return self.shown[0][0] if self.shown else None

    @property
    def url(self) -> str | None:
        """Where."""
        return self.shown[0][1] if self.shown else None


class TrustList:
    """The folder `pki`. Nothing of it need exist."""

    def __init__(self, pki: Path) -> None:
        self._pki = pki

    def objection(
        self, chain: Sequence[x509.Certificate], now: dt.datetime, visit: ClaimedIdentity = _ANYBODY
    ) -> Objection | None:
        """Why the first of these certificates is not accepted; None: it is. Its own dates are not looked at here."""
        try:
            issuers, broken = self._read("issuers")
            trusted, more_broken = self._trusted()
            broken += more_broken
            shelf = Shelf(trusted, issuers, self._revocations())
        except (OSError, ValueError, TransientError) as error:
            return Objection(str(error), "put the file there anew, or take it away")
        found = objection(chain, shelf, visit, now)
        if found is not None and broken:
            found = found._replace(reason=f"{found.reason} (and {', '.join(broken)} cannot be read)")
        return found

    def state(self) -> object:
        """Compares equal as long as nobody has changed what decides."""
        return [
            (path, about.st_mtime_ns, about.st_size, about.st_ino)
            for path in [*self._files("trusted"), *self._files("issuers"), *self._lists()]
            for about in (_stat(path),)
            if about is not None
        ]

    def reject(self, certificate: x509.Certificate, device: str, url: str) -> None:
        """Keep it for a person to look at. Raises OSError."""
        folder = self._pki / "rejected"
        make_folder(folder)
        name = thumbprint(certificate)
        for old in sorted(folder.glob("*.der"), key=lambda path: path.stat().st_mtime)[: -_MOST_REJECTED + 1 or None]:
            if len(list(folder.glob("*.der"))) >= _MOST_REJECTED and old.stem != name:
                _remove(old)
        _write(folder / f"{name}.der", certificate, [(device, url), *_shown(folder / f"{name}.der")])

    def entries(self, state: str) -> list[TrustEntry]:
        """What stands in `trusted` or `rejected`, newest first; what cannot be read is left out."""
        found = []
        for path in self._files(state):
            try:
                certificate = read_certificates(path)[0]
            except PermanentError:
                continue
            found.append(TrustEntry(thumbprint(certificate), certificate, path, _shown(path)))
        return sorted(found, key=lambda entry: entry.path.stat().st_mtime, reverse=True)

    def move(self, entry: TrustEntry, to: str, device: str | None = None) -> None:
        """Into `trusted` or `rejected`; `device`: for it alone, of those that showed it. Raises OSError."""
        folder = self._pki / to
        make_folder(folder)
        target = folder / f"{entry.thumbprint}.der"
        moved = [one for one in entry.shown if device in (None, one[0])]
        left = [one for one in entry.shown if one not in moved]
        _write(target, entry.certificate, [*moved, *_shown(target)])
        if left:
            _write(entry.path, entry.certificate, left)
        else:
            _remove(entry.path)

    def _files(self, folder: str) -> list[Path]:
        try:
            inside = sorted((self._pki / folder).iterdir())
            return [path for path in inside if path.suffix.lower() in _SUFFIXES and path.is_file()]
        except OSError as error:
            if exhausted(error):
                raise  # nobody has taken anything away
            return []

    def _trusted(self) -> tuple[list[Trusted], list[str]]:
        found: list[Trusted] = []
        broken = []
        for path in self._files("trusted"):
            try:
                found += [Trusted(one, _shown(path)) for one in read_certificates(path)]
            except PermanentError:
                broken.append(f"trusted/{path.name}")
        return found, broken

    def _read(self, folder: str) -> tuple[list[x509.Certificate], list[str]]:
        found: list[x509.Certificate] = []
        broken = []
        for path in self._files(folder):
            try:
                found += read_certificates(path)
            except PermanentError:
                broken.append(f"{folder}/{path.name}")
        return found, broken

    def _lists(self) -> list[Path]:
        folders = (self._pki / "issuers", self._pki / "trusted")
        return sorted(path for folder in folders for path in folder.glob("*.crl") if path.is_file())

    def _revocations(self) -> list[x509.CertificateRevocationList]:
        found = []
        for path in self._lists():
            content = read_regular(path, LARGEST)
            pem = b"-----BEGIN" in content
            try:
                found.append(x509.load_pem_x509_crl(content) if pem else x509.load_der_x509_crl(content))
            except ValueError as error:
                raise ValueError(f"the revocation list {path.parent.name}/{path.name} cannot be read") from error
        return found


def _shown(path: Path) -> list[tuple[str, str]]:
    """Who showed the certificate in this file."""
    try:
        about: Any = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return [(str(one["device"]), str(one["url"])) for one in (about, *about.get("others", ()))]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def _write(path: Path, certificate: x509.Certificate, shown: Sequence[tuple[str, str]]) -> None:
    """Whole or not at all; who showed it first: without that it would count for everybody."""
    about = [{"device": device, "url": url} for device, url in dict.fromkeys(shown)][:_MOST_SHOWN]
    if about:
        _replace(path.with_suffix(".json"), json.dumps({**about[0], "others": about[1:]}).encode())
    _replace(path, certificate.public_bytes(serialization.Encoding.DER))


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    write_durably(draft, content, mode=0o600)
    draft.replace(path)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
