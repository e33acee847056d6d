"""Modules that libraries import and the agent does not use: they are run once somebody asks them for a name."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from threading import RLock
from typing import Any

#: 4 MB of an agent that needs none of them: uvicorn's command line and logs, proxies of paho's, starlette's pages for
#: developers, cookies and words for errors, serial buses; tables, archives and mail that importlib might read
#: of packages; names of hosts that are not ASCII.
UNUSED = (
    "bz2", "calendar", "csv", "email.base64mime", "email.header", "email.quoprimime", "gzip", "html", "http.client",
    "http.cookies", "importlib.resources", "locale", "logging.config", "lzma", "serial", "shutil", "stringprep",
    "tempfile", "urllib.request", "uvicorn",
)  # fmt: skip


def postpone(*names: str) -> None:
    """From now on importing one of them does not run it; parts of a package are run as ever.

    Whoever asks one for a name gets it: it is run then. What has been run, or is not there, stays as it is.
    """
    for name in names:
        if name not in sys.modules:
            _postpone(name)


def _postpone(name: str) -> None:
    if (spec := find_spec(name)) is None or (loader := spec.loader) is None:
        return
    module: Any = module_from_spec(spec)
    lock, begun = RLock(), False

    def run(asked: str) -> Any:
        nonlocal begun
        with lock:  # another thread that asks waits until it has been run, as for any import
            if not begun:
                begun = True
                try:
                    loader.exec_module(module)
                except BaseException:
                    begun = False
                    raise
                if module.__getattr__ is run:  # it may have one of its own
                    del module.__getattr__
            elif module.__dict__.get("__getattr__") is run:
                raise AttributeError(f"{name} asks itself for {asked!r}, which is not there yet")
        return getattr(module, asked)

    module.__getattr__ = run
    sys.modules[name] = module
    package, _, part = name.rpartition(".")
    if package:
        setattr(sys.modules[package], part, module)
