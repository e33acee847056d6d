"""Floor 6: the commands. Each is one file, imported when it is called: `edge-agent --help` imports none of them.

Every command returns its exit code: 0 clean, 2 configuration, 1 anything else.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core.errors import leaves

if TYPE_CHECKING:
    import typer

#: What a write says where its file, pipe or disk takes no more.
_UNWRITABLE = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def application() -> typer.Typer:
    """The command line with all its commands."""
    from agent.cli import engineering, operating  # noqa: F401 - each adds its commands
    from agent.cli.examples import epilog
    from agent.cli.options import app

    for command in app.registered_commands:
        command.epilog = epilog(str(command.name))
    return app


def main() -> None:
    """Run the command that was asked for; leaves with the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            unicode_safe(stream)
    code: str | int | None = None
    lost = None
    try:
        command = _command(sys.argv[1:])
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command()
    except SystemExit as leaving:
        code = leaving.code
    except KeyboardInterrupt:
        code = 130  # as typer has it
    except (OSError, BaseExceptionGroup) as error:
        lost = unwritten(error)
        if lost is None:
            raise
    try:
        sys.stdout.flush()
    except OSError as error:
        lost = error
    if lost is not None:
        _write_no_more(lost)
    sys.exit(code or (0 if lost is None else 1))


def _command(words: list[str]) -> Callable[[], object]:
    """What was asked for. `run -c FILE`, as units and containers have it, needs no typer: 0.05 s, and 2 MB for good."""
    match words:
        case ["run", "-c" | "--config", file] if file and not file.startswith("-"):
            from agent.cli.run import run

            return lambda: sys.exit(run(Path(file)))
    from typer.main import get_command as built

    return partial(built(application()), prog_name="edge-agent")


def unwritten(error: BaseException) -> OSError | None:
    """The error of a stream that could not be written: one of a file names it."""
    return next(
        (one for one in leaves(error) if isinstance(one, OSError) and not one.filename and one.errno in _UNWRITABLE),
        None,
    )


def _write_no_more(lost: OSError) -> None:
    """Say why, but where the reader simply left (`| head`); what is still buffered would fail again at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if lost.errno != errno.EPIPE:
            sys.stderr.write(f"standard output cannot be written: {lost.strerror}\n")


def unicode_safe(stream: io.TextIOWrapper) -> None:
    """No tag's name ends a command where the locale cannot write it: files and pipes are UTF-8, as all we read is."""
    stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")
