"""HistoryRead: raw values of a span of time, page by page (OPC 10000-11, 6.5.3). Reads only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from asyncua import ua
from asyncua.client.ua_session import UaSession

from agent.collectors.opcua.services import ResolvedNode
from agent.collectors.opcua.translate import AnswerUndecodable, ServiceRefused, translated
from agent.core.quality import number_of
from agent.telemetry import metrics

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_OTHER_TIMES = {
    number_of(name)
    for name in ("BadTimestampsToReturnInvalid", "BadTimestampNotSupported", "BadInvalidTimestampArgument")
}
_ASIDE = (ua.TimestampsToReturn.Both, ua.TimestampsToReturn.Server)  #: where a server refuses source times alone


class HistoryPage(NamedTuple):
    """Some values of one node, oldest first; `more` continues them. `code` says why there are none."""

    code: int
    values: list[Any]
    more: bytes | None


class HistoryReader:
    """One per connection. `most`: values of one node in one page."""

    def __init__(self, session: UaSession, device: str, most: int) -> None:
        self._session = session
        self.most = most
        self._requests = metrics.REQUESTS.labels(device)
        self._times = ua.TimestampsToReturn.Source
        self._aside = list(_ASIDE)

    async def raw(
        self, nodes: Sequence[ResolvedNode], points: Sequence[bytes | None], start_ms: int, end_ms: int
    ) -> list[HistoryPage]:
        """A page for each node; `points` continue earlier ones. Raises ServiceRefused where there is no history."""
        while True:
            try:
                pages = await self._read(self._request(nodes, points, start_ms, end_ms))
            except ServiceRefused as error:
                if error.code not in _OTHER_TIMES or not self._aside:
                    raise
            else:
                if not self._aside or not any(page.code in _OTHER_TIMES for page in pages):
                    return pages
            self._times = self._aside.pop(0)

    def lower(self) -> bool:
        """Fewer values in a page from now on; False where there cannot be fewer."""
        before, self.most = self.most, max(1, self.most // 2)
        return self.most < before

    async def release(self, nodes: Sequence[ResolvedNode], points: Sequence[bytes]) -> None:
        """The rest of these is not wanted."""
        request = self._request(nodes, points, 0, 0)
        request.ReleaseContinuationPoints = True
        await self._read(request)

    def _request(
        self, nodes: Sequence[ResolvedNode], points: Sequence[bytes | None], start_ms: int, end_ms: int
    ) -> ua.HistoryReadParameters:
        details = ua.ReadRawModifiedDetails()
        details.IsReadModified = details.ReturnBounds = False
        details.StartTime, details.EndTime = _instant(start_ms), _instant(end_ms)
        details.NumValuesPerNode = self.most
        request = ua.HistoryReadParameters()
        request.HistoryReadDetails = details
        request.TimestampsToReturn = self._times
        request.ReleaseContinuationPoints = False
        request.NodesToRead = [
            ua.HistoryReadValueId(
                NodeId=node.node_id,
                IndexRange=None if (part := node.point.index_range) is None else part.text,
                ContinuationPoint=point,
            )
            for node, point in zip(nodes, points, strict=True)
        ]
        return request

    async def _read(self, request: ua.HistoryReadParameters) -> list[HistoryPage]:
        self._requests.inc()
        with translated("reading history"):
            results = await self._session.history_read(request) or []
            if len(results) != len(request.NodesToRead):
                raise AnswerUndecodable(f"{len(results)} answers for the history of {len(request.NodesToRead)} nodes")
            return [
                HistoryPage(
                    int(result.StatusCode.value),
                    list(getattr(result.HistoryData, "DataValues", None) or ()),
                    result.ContinuationPoint or None,
                )
                for result in results
            ]


def _instant(ms: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(milliseconds=ms)
