"""Tables and views of the historian in SQLite. A step once released is never changed: later ones are added.

What a trend shows stands in the index of a tag's readings: rows lie in the order of their arrival, so a day of a tag
that is read each second is on as many pages of the table as it has readings.
"""

from __future__ import annotations

_TABLES = """
CREATE TABLE stream (
    id INTEGER PRIMARY KEY, agent TEXT NOT NULL, epoch TEXT NOT NULL, device TEXT NOT NULL, source TEXT NOT NULL,
    path TEXT NOT NULL, base INTEGER, low INTEGER NOT NULL, bound INTEGER NOT NULL, seen TEXT NOT NULL,
    declared TEXT NOT NULL, lacking INTEGER NOT NULL, since INTEGER, UNIQUE (agent, epoch, device));
CREATE INDEX stream_device ON stream (agent, device, epoch);
CREATE INDEX stream_lacking ON stream (id) WHERE lacking > 0;
CREATE TABLE tag (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL, type TEXT, unit TEXT,
    description TEXT, interval_ms INTEGER, catalogue INTEGER, valid_from INTEGER NOT NULL);
CREATE UNIQUE INDEX tag_name ON tag (path, device, name, coalesce(unit, ''));
CREATE TABLE reading (
    tag INTEGER NOT NULL, ts INTEGER NOT NULL, value REAL, text TEXT, kind TEXT NOT NULL, status INTEGER,
    quality TEXT NOT NULL, code TEXT, reason TEXT, src INTEGER, why TEXT, label TEXT, historical INTEGER NOT NULL,
    snapshot INTEGER NOT NULL, stream INTEGER NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL,
    position INTEGER NOT NULL);
CREATE INDEX reading_tag ON reading (tag, ts, value, quality);
CREATE TABLE partial (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, parts INTEGER NOT NULL, part INTEGER NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (stream, seq, parts, part));
CREATE TABLE gap (
    id TEXT NOT NULL, stream INTEGER, agent TEXT NOT NULL, device TEXT NOT NULL, epoch TEXT, kind TEXT NOT NULL,
    from_seq INTEGER, to_seq INTEGER, from_ts INTEGER NOT NULL, to_ts INTEGER NOT NULL, tags TEXT, records INTEGER,
    readings INTEGER, reason TEXT NOT NULL, request TEXT, received INTEGER NOT NULL, PRIMARY KEY (agent, id));
CREATE TABLE device_state (
    path TEXT NOT NULL, agent TEXT, device TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL,
    session TEXT NOT NULL, reason TEXT, since INTEGER, last_good INTEGER, achieved_ms INTEGER, due INTEGER,
    done INTEGER, late INTEGER, readings INTEGER, digest TEXT NOT NULL, PRIMARY KEY (path, digest));
CREATE INDEX device_state_at ON device_state (device, at);
CREATE TABLE agent_state (
    agent TEXT NOT NULL, source TEXT NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL, session TEXT NOT NULL,
    version TEXT NOT NULL, config TEXT, attempted TEXT, error TEXT, shard TEXT NOT NULL, publisher TEXT NOT NULL,
    resend INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (agent, digest));
CREATE TABLE arrival (
    stream INTEGER NOT NULL, slot INTEGER NOT NULL, age INTEGER NOT NULL, records INTEGER NOT NULL,
    snapshots INTEGER NOT NULL, readings INTEGER NOT NULL, PRIMARY KEY (stream, slot, age)) WITHOUT ROWID;
CREATE TABLE hole (
    stream INTEGER NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, since INTEGER NOT NULL, asked INTEGER,
    attempts INTEGER NOT NULL, repair TEXT NOT NULL, PRIMARY KEY (stream, from_seq));
CREATE TABLE aside (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, topic TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
    payload BLOB NOT NULL);
"""

_CURRENT = """
CREATE VIEW current AS
SELECT t.path, t.device, t.name, t.type, t.unit, r.ts, r.value, r.text, r.kind, r.status, r.quality, r.code, r.reason,
    r.src, r.why, r.label, r.historical, r.snapshot, r.stream, r.seq, r.part, r.position, t.id AS tag
FROM (
    SELECT path, device, name, row_number() OVER (
        PARTITION BY path, device, name ORDER BY n.ts DESC, n.seq DESC, n.part DESC, n.position DESC) AS place,
        n.rowid AS row
    FROM tag JOIN reading n ON n.rowid = (
        SELECT rowid FROM reading WHERE tag = tag.id
        ORDER BY ts DESC, seq DESC, part DESC, position DESC LIMIT 1)
) newest
JOIN reading r ON r.rowid = newest.row JOIN tag t ON t.id = r.tag
WHERE newest.place = 1;
"""

# Holes are what lies between the end of all that came before and the next beginning: islands and gaps.
_MISSING = """
CREATE VIEW missing AS
WITH open AS (SELECT id, base, bound, seen, declared FROM stream WHERE lacking > 0),
known AS (
    SELECT id, 0 AS first, base AS after FROM open
    UNION ALL SELECT id, bound, 4611686018427387904 FROM open
    UNION ALL SELECT open.id, json_extract(one.value, '$[0]'), json_extract(one.value, '$[1]')
        FROM open, json_each(open.seen) AS one
    UNION ALL SELECT open.id, json_extract(one.value, '$[0]'), json_extract(one.value, '$[1]')
        FROM open, json_each(open.declared) AS one),
walked AS (
    SELECT id, first, max(after) OVER (
        PARTITION BY id ORDER BY first, after ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM known)
SELECT s.agent, s.epoch, s.device, w.reached AS from_seq, w.first - 1 AS to_seq, w.first - w.reached AS numbers,
    coalesce((SELECT h.repair FROM hole h WHERE h.stream = s.id AND h.from_seq < w.first AND h.to_seq >= w.reached
        ORDER BY h.attempts DESC LIMIT 1), 'open') AS repair,
    (SELECT min(h.since) FROM hole h WHERE h.stream = s.id AND h.from_seq < w.first AND h.to_seq >= w.reached) AS since,
    s.source, s.id AS stream
FROM walked w JOIN stream s ON s.id = w.id
WHERE w.first > w.reached;
"""

# A good reading holds until the tag's next one; where every reading is reported, for three intervals at most: half of
# the day's readings are followed by another within about one (as the report has it, for no catalogue tells).
# Scans are counted by device over all its sessions, each interval has its part of them, and between two statuses they
# are due in a straight line. A session may begin with the totals of the epoch before; any other total below one told
# before was brought late, by another historian, and says nothing. An epoch began as long before its first status as its
# scans take, but not long before the last status of the one before.
_COMPLETENESS = """
CREATE VIEW completeness AS
WITH RECURSIVE following AS (
    SELECT tag, ts, quality, snapshot, stream, seq, lead(ts) OVER (PARTITION BY tag ORDER BY ts, seq, position) AS until
    FROM reading),
steady AS (
    SELECT f.tag, f.ts / 86400000 AS day, t.interval_ms FROM following f JOIN tag t ON t.id = f.tag
    GROUP BY f.tag, f.ts / 86400000 HAVING 2 * sum(2 * (f.until - f.ts) <= 3 * t.interval_ms) >= count(f.until)),
spans AS (
    SELECT f.tag, f.ts / 86400000 AS day, f.ts, CASE
        WHEN f.until IS NULL THEN f.ts
        WHEN s.tag IS NULL THEN f.until
        ELSE min(f.until, f.ts + 3 * s.interval_ms) END AS until
    FROM following f LEFT JOIN steady s ON s.tag = f.tag AND s.day = f.ts / 86400000 WHERE f.quality = 'good'),
cut AS (
    SELECT tag, day, ts, until FROM spans
    UNION ALL SELECT tag, day + 1, (day + 1) * 86400000, until FROM cut WHERE until > (day + 1) * 86400000),
good AS (
    SELECT tag, day, sum(min(until, (day + 1) * 86400000) - ts) / 1000.0 AS good_seconds FROM cut GROUP BY tag, day),
arrived AS (
    SELECT tag, ts / 86400000 AS day, count(DISTINCT CASE WHEN snapshot = 0 THEN stream || '/' || seq END) AS arrived
    FROM reading GROUP BY tag, ts / 86400000),
rates AS (
    SELECT path, day, sum(1.0 / interval_ms) AS rate FROM (
        SELECT DISTINCT t.path, a.day, t.interval_ms FROM arrived a JOIN tag t ON t.id = a.tag WHERE t.interval_ms > 0)
    GROUP BY path, day),
said AS (
    SELECT path, session, at, due, first_value(at) OVER run AS began, lead(due) OVER run < due AS falls
    FROM device_state WHERE due IS NOT NULL WINDOW run AS (PARTITION BY path, session ORDER BY at)),
counted AS (
    SELECT path, session, at, due, began, max(CASE WHEN NOT (falls AND at = began) THEN due END) OVER (
        PARTITION BY path, session ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS most
    FROM said),
told AS (
    SELECT path, at, at / 86400000 AS day, due, lag(due, 1, due + 1) OVER run AS before, lag(at, 1, 0) OVER run AS since
    FROM counted WHERE due >= most OR most IS NULL
    WINDOW run AS (PARTITION BY path ORDER BY began, session, at)),
rose AS (
    SELECT path, at AS until, since, rate, CASE
        WHEN due >= before THEN due - before
        ELSE coalesce(min(due, rate * min(max(at - since, 0) + 60000, 2678400000)), due) END AS scans,
        due >= before AS goes_on
    FROM told LEFT JOIN rates USING (path, day)),
span AS (
    SELECT path, min(until, CAST(CASE WHEN goes_on THEN since ELSE until - coalesce(scans / rate, 0) END AS INTEGER))
        AS since, until, scans
    FROM rose),
owed AS (
    SELECT path, since / 86400000 AS day, since AS begin, since, until, scans FROM span
    UNION ALL SELECT path, day + 1, begin, (day + 1) * 86400000, until, scans FROM owed
    WHERE until > (day + 1) * 86400000),
expected AS (
    SELECT path, day, sum(CASE
        WHEN until = begin THEN scans
        ELSE scans * 1.0 * (min(until, (day + 1) * 86400000) - since) / (until - begin) END) AS scans
    FROM owed GROUP BY path, day)
SELECT date(a.day * 86400, 'unixepoch') AS day, t.device, t.name AS tag, t.path,
    coalesce(g.good_seconds, 0) AS good_seconds,
    CAST(round(CASE WHEN r.rate IS NULL THEN e.scans ELSE e.scans / (t.interval_ms * r.rate) END) AS INTEGER)
        AS expected,
    a.arrived
FROM arrived a JOIN tag t ON t.id = a.tag
LEFT JOIN good g ON g.tag = a.tag AND g.day = a.day
LEFT JOIN expected e ON e.path = t.path AND e.day = a.day
LEFT JOIN rates r ON r.path = t.path AND r.day = a.day;
"""

#: From version n - 1 to n; `PRAGMA user_version` tells how far a file is.
MIGRATIONS = (
    _TABLES + _CURRENT + _MISSING + _COMPLETENESS,
    "ALTER TABLE reading ADD COLUMN age INTEGER;",
    "CREATE INDEX device_state_path ON device_state (path, at);",
    """
ALTER TABLE stream ADD COLUMN readings INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stream ADD COLUMN due INTEGER;
ALTER TABLE stream ADD COLUMN done INTEGER;
UPDATE stream SET readings = coalesce((SELECT sum(a.readings) FROM arrival a WHERE a.stream = stream.id), 0);
CREATE INDEX stream_path ON stream (path);
""",
    "DROP VIEW completeness;" + _COMPLETENESS,
)
