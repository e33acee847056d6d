"""`reverse:` of a device: the server calls the agent (OPC 10000-6, 7.1.3). Configuration; no I/O."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from agent.collectors.opcua.connect.reversehello import LONGEST_FIELD
from agent.collectors.opcua.connect.url import check_url, split_listen
from agent.settings.model import Model


def _check_listen(value: str) -> str:
    split_listen(value)
    return value


class ReverseSettings(Model):
    """The server calls the agent: reverse connect."""

    listen: Annotated[str, AfterValidator(_check_listen)] = "127.0.0.1:4841"
    """Address the agent listens on, HOST:PORT; several servers may call at one. Beyond this machine only as written."""
    server_uri: Annotated[str, Field(min_length=1, max_length=LONGEST_FIELD)]
    """The server's ApplicationUri: by it a caller is told from others, and its certificate must name it."""
    endpoint_url: Annotated[str, AfterValidator(check_url)] | None = None
    """Only a caller that wants to be called so is meant; default: whatever it wants to be called."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        return split_listen(self.listen)

    @property
    def name(self) -> str:
        """For people."""
        which = f" ({self.endpoint_url})" if self.endpoint_url else ""
        return f"{self.server_uri}{which} calling {self.listen}"
