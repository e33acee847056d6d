"""What an error of one of several brokers means for the others. Pure."""

from __future__ import annotations

from agent.core.errors import PermanentError, TransientError


def of_broker(name: str, error: TransientError | PermanentError) -> TransientError | PermanentError:
    """It says which of several brokers it is about."""
    if name in error.reason:
        return error
    reason = f"{name}: {error.reason}"
    if isinstance(error, PermanentError):
        return PermanentError(reason, error.hint)
    error.reason, error.args = reason, (reason,)
    return error


def next_one(error: TransientError | PermanentError) -> TransientError | PermanentError:
    """This broker does not take us, and others have not been asked yet: they need not wait for what it wants."""
    if isinstance(error, PermanentError):
        return TransientError(error.reason)
    error.retry_after = None
    return error
