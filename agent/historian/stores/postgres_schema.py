"""Tables and views of the historian in PostgreSQL. A step once released is never changed: later ones are added.

What a trend shows stands in the index of a tag's readings: rows lie in the order of their arrival, so a day of a tag
that is read each second is on as many pages of the table as it has readings.
"""

from __future__ import annotations

_TABLES = """
CREATE TABLE edge.stream (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, agent text NOT NULL, epoch text NOT NULL, device text NOT NULL,
    source text NOT NULL, path text NOT NULL, base int8, low int8 NOT NULL, bound int8 NOT NULL,
    seen int8multirange NOT NULL, declared int8multirange NOT NULL, lacking int8 NOT NULL, since timestamptz,
    UNIQUE (agent, epoch, device)) WITH (fillfactor = 50);
CREATE INDEX stream_device ON edge.stream (agent, device, epoch);
CREATE INDEX stream_path ON edge.stream (path);
CREATE INDEX stream_lacking ON edge.stream (id) WHERE lacking > 0;
CREATE TABLE edge.tag (
    id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, path text NOT NULL, device text NOT NULL, name text NOT NULL,
    type text, unit text, description text, interval_ms int8, catalogue int8, valid_from timestamptz NOT NULL);
CREATE UNIQUE INDEX tag_name ON edge.tag (path, device, name, coalesce(unit, ''));
CREATE TABLE edge.reading (
    tag int NOT NULL, ts timestamptz NOT NULL, value float8, text text, kind text NOT NULL, status int8,
    quality text NOT NULL, code text, reason text, src timestamptz, why text, label text, historical bool NOT NULL,
    snapshot bool NOT NULL, stream int NOT NULL, seq int8 NOT NULL, part int NOT NULL, position int NOT NULL
) PARTITION BY RANGE (ts);
CREATE TABLE edge.reading_rest PARTITION OF edge.reading DEFAULT;
CREATE INDEX reading_tag ON edge.reading (tag, ts) INCLUDE (value, quality);
CREATE INDEX reading_ts ON edge.reading USING brin (ts);
CREATE TABLE edge.partial (
    stream int NOT NULL, seq int8 NOT NULL, parts int NOT NULL, part int NOT NULL, payload bytea NOT NULL,
    PRIMARY KEY (stream, seq, parts, part));
CREATE TABLE edge.gap (
    id text NOT NULL, stream int, agent text NOT NULL, device text NOT NULL, epoch text, kind text NOT NULL,
    from_seq int8, to_seq int8, from_ts timestamptz NOT NULL, to_ts timestamptz NOT NULL, tags jsonb, records int8,
    readings int8, reason text NOT NULL, request text, received timestamptz NOT NULL, PRIMARY KEY (agent, id));
CREATE TABLE edge.device_state (
    path text NOT NULL, agent text, device text NOT NULL, at timestamptz NOT NULL, state text NOT NULL,
    session text NOT NULL, reason text, since timestamptz, last_good timestamptz, achieved_ms int8, due int8, done int8,
    late int8, readings int8, digest text NOT NULL, PRIMARY KEY (path, digest));
CREATE INDEX device_state_at ON edge.device_state (device, at);
CREATE TABLE edge.agent_state (
    agent text NOT NULL, source text NOT NULL, at timestamptz NOT NULL, state text NOT NULL, session text NOT NULL,
    version text NOT NULL, config text, attempted text, error text, shard text NOT NULL, publisher text NOT NULL,
    resend bool NOT NULL, digest text NOT NULL, PRIMARY KEY (agent, digest));
CREATE TABLE edge.arrival (
    stream int NOT NULL, slot timestamptz NOT NULL, age int NOT NULL, records int8 NOT NULL, snapshots int8 NOT NULL,
    readings int8 NOT NULL, PRIMARY KEY (stream, slot, age));
CREATE TABLE edge.hole (
    stream int NOT NULL, from_seq int8 NOT NULL, to_seq int8 NOT NULL, since timestamptz NOT NULL, asked timestamptz,
    attempts int NOT NULL, repair text NOT NULL, PRIMARY KEY (stream, from_seq));
CREATE TABLE edge.aside (
    id int8 PRIMARY KEY GENERATED ALWAYS AS IDENTITY, source text NOT NULL, topic text NOT NULL,
    at timestamptz NOT NULL, reason text NOT NULL, payload bytea NOT NULL);
"""

_CURRENT = """
CREATE VIEW edge.current AS
SELECT DISTINCT ON (t.path, t.device, t.name) t.path, t.device, t.name, t.type, t.unit, r.ts, r.value, r.text, r.kind,
    r.status, r.quality, r.code, r.reason, r.src, r.why, r.label, r.historical, r.snapshot, r.stream, r.seq, r.part,
    r.position, t.id AS tag
FROM edge.tag t CROSS JOIN LATERAL (
    SELECT * FROM edge.reading WHERE tag = t.id ORDER BY ts DESC, seq DESC, part DESC, position DESC LIMIT 1) r
ORDER BY t.path, t.device, t.name, r.ts DESC, r.seq DESC, r.part DESC, r.position DESC;
"""

_MISSING = """
CREATE VIEW edge.missing AS
SELECT s.agent, s.epoch, s.device, lower(r) AS from_seq, upper(r) - 1 AS to_seq, upper(r) - lower(r) AS numbers,
    coalesce((SELECT h.repair FROM edge.hole h WHERE h.stream = s.id AND h.from_seq < upper(r) AND h.to_seq >= lower(r)
        ORDER BY h.attempts DESC LIMIT 1), 'open') AS repair,
    (SELECT min(h.since) FROM edge.hole h WHERE h.stream = s.id AND h.from_seq < upper(r) AND h.to_seq >= lower(r))
        AS since, s.source, s.id AS stream
FROM edge.stream s, unnest(int8multirange(int8range(s.base, s.bound)) - s.seen - s.declared) r
WHERE s.lacking > 0;
"""

# A good reading holds until the tag's next one; where every reading is reported, for three intervals at most: half of
# the day's readings are followed by another within about one (as the report has it, for no catalogue tells).
# Scans are counted by device over all its sessions, each interval has its part of them, and between two statuses they
# are due in a straight line. A session may begin with the totals of the epoch before; any other total below one told
# before was brought late, by another historian, and says nothing. An epoch began as long before its first status as its
# scans take, but not long before the last status of the one before.
_COMPLETENESS = """
CREATE VIEW edge.completeness AS
WITH following AS (
    SELECT tag, ts, quality, lead(ts) OVER (PARTITION BY tag ORDER BY ts, seq, position) AS until FROM edge.reading),
steady AS (
    SELECT f.tag, (f.ts AT TIME ZONE 'UTC')::date AS day, min(t.interval_ms) AS interval_ms
    FROM following f JOIN edge.tag t ON t.id = f.tag GROUP BY 1, 2 HAVING count(f.until) <= 2 * count(*) FILTER (
        WHERE f.until - f.ts <= t.interval_ms * interval '1.5 milliseconds')),
spans AS (
    SELECT f.tag, f.ts, CASE
        WHEN f.until IS NULL THEN f.ts
        WHEN s.tag IS NULL THEN f.until
        ELSE least(f.until, f.ts + s.interval_ms * interval '3 milliseconds') END AS until
    FROM following f LEFT JOIN steady s ON s.tag = f.tag AND s.day = (f.ts AT TIME ZONE 'UTC')::date
    WHERE f.quality = 'good'),
good AS (
    SELECT s.tag, (d AT TIME ZONE 'UTC')::date AS day, sum(extract(epoch FROM
        least(s.until, d + interval '1 day') - greatest(s.ts, d)))::float8 AS good_seconds
    FROM spans s, generate_series(date_trunc('day', s.ts, 'UTC'), date_trunc('day', s.until, 'UTC'), interval '1 day') d
    GROUP BY 1, 2),
arrived AS (
    SELECT tag, (ts AT TIME ZONE 'UTC')::date AS day,
        count(DISTINCT (stream, seq)) FILTER (WHERE NOT snapshot) AS arrived
    FROM edge.reading GROUP BY 1, 2),
rates AS (
    SELECT path, day, sum(1.0 / interval_ms)::float8 AS rate FROM (
        SELECT DISTINCT t.path, a.day, t.interval_ms FROM arrived a JOIN edge.tag t ON t.id = a.tag
        WHERE t.interval_ms > 0) one
    GROUP BY 1, 2),
said AS (
    SELECT path, session, at, due, first_value(at) OVER run AS began, lead(due) OVER run < due AS falls
    FROM edge.device_state WHERE due IS NOT NULL WINDOW run AS (PARTITION BY path, session ORDER BY at)),
counted AS (
    SELECT path, session, at, due, began, max(CASE WHEN NOT (falls AND at = began) THEN due END) OVER (
        PARTITION BY path, session ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS most
    FROM said),
told AS (
    SELECT path, at, (at AT TIME ZONE 'UTC')::date AS day, due, lag(due) OVER run AS before, lag(at) OVER run AS since
    FROM counted WHERE due >= most OR most IS NULL
    WINDOW run AS (PARTITION BY path ORDER BY began, session, at)),
rose AS (
    SELECT path, at AS until, since, rate, CASE
        WHEN due >= before THEN due - before
        ELSE least(due, rate * least(extract(epoch FROM greatest(at, since) - since) * 1000 + 60000, 2678400000))
        END AS scans,
        due >= before AS goes_on
    FROM told LEFT JOIN rates USING (path, day)),
span AS (
    SELECT path, least(until, CASE
        WHEN goes_on THEN since
        ELSE until - coalesce(scans / rate, 0) * interval '1 millisecond' END) AS since, until, scans
    FROM rose),
expected AS (
    SELECT path, (d AT TIME ZONE 'UTC')::date AS day, sum(CASE
        WHEN until = since THEN scans
        ELSE scans * extract(epoch FROM least(until, d + interval '1 day') - greatest(since, d))
            / extract(epoch FROM until - since) END)::float8 AS scans
    FROM span, generate_series(date_trunc('day', since, 'UTC'), date_trunc('day', until, 'UTC'), interval '1 day') d
    GROUP BY 1, 2)
SELECT a.day, t.device, t.name AS tag, t.path, coalesce(g.good_seconds, 0) AS good_seconds,
    round(CASE WHEN r.rate IS NULL THEN e.scans ELSE e.scans / nullif(t.interval_ms, 0) / r.rate END)::int8 AS expected,
    a.arrived
FROM arrived a JOIN edge.tag t ON t.id = a.tag
LEFT JOIN good g ON g.tag = a.tag AND g.day = a.day
LEFT JOIN expected e ON e.path = t.path AND e.day = a.day
LEFT JOIN rates r ON r.path = t.path AND r.day = a.day;
"""

#: From version n - 1 to n; `edge.version` tells how far a database is.
MIGRATIONS = (
    _TABLES + _CURRENT + _MISSING + _COMPLETENESS,
    "ALTER TABLE edge.reading ADD COLUMN age int2;",
    "CREATE INDEX device_state_path ON edge.device_state (path, at);",
    """
ALTER TABLE edge.stream ADD COLUMN readings int8 NOT NULL DEFAULT 0, ADD COLUMN due int8, ADD COLUMN done int8;
UPDATE edge.stream s SET readings = a.readings
FROM (SELECT stream, sum(readings) AS readings FROM edge.arrival GROUP BY stream) a WHERE a.stream = s.id;
""",
    "DROP VIEW edge.completeness;" + _COMPLETENESS,
)
