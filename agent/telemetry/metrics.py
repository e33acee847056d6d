"""Every metric of the agent, one table. Labelled by device, publisher or reason, never by tag.

Prefix `edge_agent_`, base units, `_total` for counters, instants instead of ages. One process is one agent, so the
registry is the module's.
"""

from __future__ import annotations

from collections import defaultdict

from agent.telemetry.cells import Counter, Family, Gauge, Histogram

REGISTRY: list[Family] = []
#: What series had counted when they were removed, by the labels that are left.
_ENDED: dict[Family, dict[frozenset[tuple[str, str]], float]] = defaultdict(lambda: defaultdict(float))


def _counter(name: str, text: str, *labels: str) -> Counter:
    REGISTRY.append(made := Counter(f"edge_agent_{name}", text, labels))
    return made


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    REGISTRY.append(made := Gauge(f"edge_agent_{name}", text, labels))
    return made


def _histogram(name: str, text: str, *labels: str) -> Histogram:
    REGISTRY.append(made := Histogram(f"edge_agent_{name}", text, labels))
    return made


def forget(label: str, value: str) -> None:
    """Remove every series with this value of a label: the device, publisher or component has ended for good.

    What a counter counted stays in its :func:`total`.
    """
    for metric in REGISTRY:
        if label not in metric.labelnames:
            continue
        at = metric.labelnames.index(label)
        for values in [values for values in metric.cells if values[at] == value]:
            cell = metric.cells.pop(values)
            if isinstance(cell, Counter):
                known = zip(metric.labelnames, values, strict=True)
                _ENDED[metric][frozenset(pair for pair in known if pair[0] != label)] += cell.value


def total(counter: Counter, **labels: str) -> float:
    """All it has counted since the start, for what has ended as well; only with these labels."""
    series = [(one.labels.items(), one.value) for one in counter.series()]
    return sum(value for known, value in (*series, *_ENDED[counter].items()) if labels.items() <= known)


BUILD_INFO = _gauge("build_info", "Always 1; the version is in the label.", "version")
CONFIG_INFO = _gauge("config_info", "Always 1; the hash of the configuration in force is in the label.", "hash")
START_TIME = _gauge("start_timestamp_seconds", "When the agent started.")
CLOCK_SYNCED = _gauge("clock_synced", "1 where the wall clock is set.")
BUGS = _counter("bugs_total", "Errors that the agent did not expect: bugs in it.", "component")
RESTARTS = _counter("component_restarts_total", "How often a supervised component was opened again.", "component")
HTTP_LOGINS_FAILED = _counter("http_logins_failed_total", "Requests to the HTTP port with a wrong token.")
LOOP_LAG = _gauge(
    "loop_lag_seconds",
    "Longest time at a stretch the event loop did not run, of the last minute: within 25 ms, of an idle one 200 ms.",
)

DISK_FREE = _gauge("disk_free_bytes", "Free on the disk of data_dir.")
DISK_FLOOR = _gauge("disk_floor_bytes", "Below so many free bytes outboxes stop growing (min_free_disk).")
DISK_TIME_LEFT = _gauge(
    "disk_time_left_seconds",
    "Time until that floor is reached at the present rate; +Inf where it is not to be expected.",
)

DEVICE_UP = _gauge("device_up", "1 while the device answers.", "device")
DEVICE_LAST_GOOD = _gauge("device_last_good_timestamp_seconds", "When a good reading last arrived.", "device")
READINGS = _counter("readings_total", "Readings made, by quality.", "device", "quality")
READ_ERRORS = _counter("read_errors_total", "Answers that were errors, by code.", "device", "code")
SCAN_SECONDS = _histogram("scan_seconds", "Duration of a scan.", "device")
SCAN_PERIOD = _gauge("scan_period_seconds", "Time between the last two scans of the shortest interval.", "device")
SCANS_SKIPPED = _counter("scans_skipped_total", "Cycles skipped because the device was too slow.", "device")
TAGS_CONFIGURED = _gauge("tags_configured", "Tags in the configuration.", "device")
TAGS_BAD = _gauge("tags_bad", "Tags whose newest reading is bad.", "device")
REQUESTS = _counter("requests_total", "Requests sent to the device.", "device")
CLOCK_SKEW = _gauge("device_clock_skew_seconds", "Device clock minus ours.", "device")
CERT_EXPIRY = _gauge(
    "cert_expiry_timestamp_seconds", "When a certificate runs out: own, server or user.", "device", "certificate"
)
REVERSE_REFUSED = _counter(
    "reverse_connects_refused_total",
    "OPC UA callers (reverse connect) that were refused: unknown, garbage, slow, crowded, foreign.",
    "reason",
)

OUTBOX_RECORDS = _gauge("outbox_records", "Records kept and not acknowledged.", "publisher")
OUTBOX_BYTES = _gauge("outbox_bytes", "Bytes of those records.", "publisher")
OUTBOX_OLDEST = _gauge(
    "outbox_oldest_timestamp_seconds", "When the oldest of them was committed; 0 when there is none.", "publisher"
)
OUTBOX_FILL = _gauge("outbox_fill_ratio", "How far it is filled: 1 is full.", "publisher")
OUTBOX_TIME_LEFT = _gauge(
    "outbox_time_left_seconds",
    "How long the room left lasts at the present rate where the broker takes nothing; +Inf where nothing comes.",
    "publisher",
)
OUTBOX_WRITTEN = _counter(
    "outbox_written_bytes_total",
    "Bytes written to the disk, the log included (flash wear): `increase(…[1d])` is a day's.",
    "publisher",
)
OUTBOX_DROPPED = _counter("outbox_dropped_total", "Records dropped and declared, by reason.", "publisher", "reason")
QUARANTINED = _counter("quarantined_total", "Records the broker will never take.", "publisher")

PUBLISHER_UP = _gauge("publisher_up", "1 while a broker session stands.", "publisher")
PUBLISHED = _counter(
    "published_total", "Messages by outcome: ok, no_subscriber, rejected, retried.", "publisher", "result"
)
PUBLISHED_BYTES = _counter("published_bytes_total", "Payload bytes sent.", "publisher")
PUBLISHER_CERT_EXPIRY = _gauge(
    "publisher_cert_expiry_timestamp_seconds", "When a certificate runs out: own, server.", "publisher", "certificate"
)
INCOMING_DROPPED = _counter(
    "incoming_dropped_total", "Messages to the agent that it did not take: too_large, crowded.", "publisher", "reason"
)
ACK_SECONDS = _histogram("ack_seconds", "From sending a message to its acknowledgement.", "publisher")
RESEND_REQUESTS = _counter(
    "resend_requests_total",
    "Requests of consumers for records, by what became of them: served, unknown, repeated, retained, malformed, busy.",
    "publisher",
    "result",
)
CONNECTS = _counter("connects_total", "Connections made to the broker.", "publisher")

HISTORIAN_ROWS = _counter("historian_rows_total", "Readings stored by the historian.")
HISTORIAN_RECORDS = _counter("historian_records_total", "Records stored.")
HISTORIAN_DUPLICATES = _counter("historian_duplicates_total", "Records, or parts of one, that were stored already.")
HISTORIAN_LATE = _counter("historian_late_total", "Readings older than `retention` on arrival: entered, not stored.")
HISTORIAN_REFUSED = _counter(
    "historian_refused_total",
    "Messages left out: undecodable, encoder (not json), retained, too_large, database, second_way.",
    "reason",
)
HISTORIAN_ASIDE = _counter("historian_aside_total", "Messages of an unknown schema that were kept as they came.")
HISTORIAN_LAG = _gauge("historian_lag_seconds", "Age of the newest live record when it was stored.")
HISTORIAN_HOLES = _gauge("historian_holes", "Holes in streams (rows of the view `missing`).")
HISTORIAN_MISSING = _gauge("historian_missing_records", "Records in them.")
HISTORIAN_ASKED = _counter("historian_requests_total", "Requests for missing records sent to agents.")
HISTORIAN_REPAIRED = _counter("historian_repaired_total", "Missing records that came because they were asked for.")
HISTORIAN_LOST = _counter("historian_lost_total", "Missing records that their agents declared lost.")
HISTORIAN_DATABASE_UP = _gauge("historian_database_up", "1 while the database is open.")
HISTORIAN_SOURCE_UP = _gauge("historian_source_up", "1 while a subscription stands.", "source")
HISTORIAN_WAITING = _gauge("historian_waiting_messages", "Messages received and not committed.")
HISTORIAN_COMMIT_SECONDS = _histogram("historian_commit_seconds", "Duration of a transaction.")
