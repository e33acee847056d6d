"""Asking the file of an outbox itself, as its only user: while no agent runs, or for one the agent does not use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from agent.core.errors import AgentError, PermanentError
from agent.outbox.file.errors import own
from agent.outbox.file.schema import connect
from agent.outbox.operator import queries
from agent.outbox.operator.protocol import OutboxAnswer, OutboxQuestion


def inquire(file: Path, question: OutboxQuestion) -> OutboxAnswer:
    """The answer. Raises PermanentError where there is no outbox, or one that cannot be used."""
    if not file.exists():
        raise PermanentError(f"there is no outbox at {file}", "has the agent ever run with this configuration?")
    lock = own(file)
    try:
        with closing(connect(file, "fsync", look=question.verb in ("list", "quarantined"))) as db:
            return _answer(db, question)
    except PermanentError:
        raise
    except (AgentError, sqlite3.Error) as error:
        raise PermanentError(
            f"{file} cannot be used: {error}", "a start of the agent saves what can be saved"
        ) from error
    finally:
        os.close(lock)


def _answer(db: sqlite3.Connection, question: OutboxQuestion) -> OutboxAnswer:
    which = question.which
    match question.verb:
        case "list":
            return OutboxAnswer(listing=queries.listing(db))
        case "quarantined":
            return OutboxAnswer(quarantined=queries.quarantined(db, which))
        case "discard":
            return OutboxAnswer(done=queries.done(queries.discard(db, which)))
        case "requeue":
            return OutboxAnswer(done=queries.done(queries.send_again(db, "quarantine", which)))
        case "resend":
            return OutboxAnswer(done=queries.done(queries.send_again(db, "acked", which)))
