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
# Told day by day, each from its own rows and the nearest beside them: a query that names days reads no others. What
# held at midnight may be long ago, and whether its tag was read steadily is told by that day. No '1 day': the reader's
# time zone may have one of 23 hours. JIT would take seconds for it. It reads with its owner's rights, as a view does.
_COMPLETENESS = """
CREATE OR REPLACE FUNCTION edge.completeness_of(timestamptz, timestamptz) RETURNS TABLE (
    device text, tag text, path text, good_seconds float8, expected int8, arrived int8
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
WITH today AS (
    SELECT tag, ts, quality, snapshot, stream, seq, position FROM edge.reading WHERE ts >= $1 AND ts < $2),
arrived AS (
    SELECT tag, min(first) AS first, sum(arrived)::int8 AS arrived FROM (
        SELECT tag, min(ts) AS first, count(DISTINCT seq) FILTER (WHERE NOT snapshot) AS arrived
        FROM today GROUP BY tag, stream) streams
    GROUP BY 1),
near AS (
    SELECT t.id AS tag, a.first, t.interval_ms * interval '3 milliseconds' AS holds, coalesce(
        (SELECT max(ts) FROM edge.reading WHERE tag = t.id AND ts < $1 AND ts >= $1 - interval '24 hours'),
        (SELECT max(ts) FROM edge.reading WHERE tag = t.id AND ts < $1 - interval '24 hours')) AS before,
        coalesce(
        (SELECT min(ts) FROM edge.reading WHERE tag = t.id AND ts >= $2 AND ts < $2 + interval '24 hours'),
        (SELECT min(ts) FROM edge.reading WHERE tag = t.id AND ts >= $2 + interval '24 hours')) AS until
    FROM arrived a JOIN edge.tag t ON t.id = a.tag),
following AS (
    SELECT tag, ts, quality, lead(ts) OVER (PARTITION BY tag ORDER BY ts, seq, position) AS until FROM (
        SELECT tag, ts, quality, seq, position FROM today
        UNION ALL SELECT r.* FROM near n CROSS JOIN LATERAL (
            SELECT tag, ts, quality, seq, position FROM edge.reading
            WHERE tag = n.tag AND ts <= n.before AND ts >= CASE
                WHEN n.first - n.before > n.holds THEN date_trunc('day', n.before, 'UTC') ELSE n.before END
            OFFSET 0) r
        UNION ALL SELECT tag, until, '', 0, 0 FROM near WHERE until IS NOT NULL) every),
steady AS (
    SELECT f.tag, date_trunc('day', f.ts, 'UTC') AS day, min(t.interval_ms) AS interval_ms
    FROM following f JOIN edge.tag t ON t.id = f.tag GROUP BY 1, 2 HAVING count(f.until) <= 2 * count(*) FILTER (
        WHERE f.until - f.ts <= t.interval_ms * interval '1.5 milliseconds')),
good AS (
    SELECT f.tag, sum(extract(epoch FROM
        least(h.until, $2) - greatest(f.ts, $1)))::float8 AS good_seconds
    FROM following f LEFT JOIN steady s ON s.tag = f.tag AND s.day = date_trunc('day', f.ts, 'UTC')
    CROSS JOIN LATERAL (SELECT least(f.until, f.ts + s.interval_ms * interval '3 milliseconds') AS until) h
    WHERE f.quality = 'good' AND f.until IS NOT NULL AND h.until > $1 GROUP BY 1),
device AS (
    SELECT path, sum(1.0 / nullif(interval_ms, 0))::float8 AS rate FROM (
        SELECT DISTINCT t.path, t.interval_ms FROM arrived a JOIN edge.tag t ON t.id = a.tag) intervals
    GROUP BY 1),
said AS (
    SELECT s.path, d.rate, session, at, due, first_value(at) OVER run AS began, lead(due) OVER run < due AS falls
    FROM device d CROSS JOIN LATERAL (
        SELECT (SELECT max(at) FROM edge.device_state
            WHERE path = d.path AND due IS NOT NULL AND at < $1 - interval '1 hour') AS first,
        (SELECT min(at) FROM edge.device_state WHERE path = d.path AND due IS NOT NULL AND at >= $2) AS last) w
    JOIN edge.device_state s ON s.path = d.path AND s.due IS NOT NULL
        AND s.at >= coalesce(w.first, '-infinity') AND s.at < coalesce(w.last, $2) + interval '10 minutes'
    WINDOW run AS (PARTITION BY s.path, session ORDER BY at)),
counted AS (
    SELECT path, rate, session, at, due, began, max(CASE WHEN NOT (falls AND at = began) THEN due END) OVER (
        PARTITION BY path, session ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS most
    FROM said),
told AS (
    SELECT path, rate, at, due, lag(due) OVER run AS before, lag(at) OVER run AS since
    FROM counted WHERE due >= most OR most IS NULL
    WINDOW run AS (PARTITION BY path ORDER BY began, session, at)),
rose AS (
    SELECT path, at AS until, since, rate, CASE
        WHEN due >= before THEN due - before
        ELSE least(due, rate * least(extract(epoch FROM greatest(at, since) - since) * 1000 + 60000, 2678400000))
        END AS scans,
        due >= before AS goes_on
    FROM told),
span AS (
    SELECT path, least(until, CASE
        WHEN goes_on THEN since
        ELSE until - coalesce(scans / rate, 0) * interval '1 millisecond' END) AS since, until, scans
    FROM rose),
expected AS (
    SELECT path, sum(CASE
        WHEN until = since THEN scans
        ELSE scans * extract(epoch FROM least(until, $2) - greatest(since, $1))
            / extract(epoch FROM until - since) END)::float8 AS scans
    FROM span WHERE until >= $1 AND since < $2 GROUP BY 1)
SELECT t.device, t.name, t.path, coalesce(g.good_seconds, 0),
    round(CASE WHEN p.rate IS NULL THEN e.scans ELSE e.scans / nullif(t.interval_ms, 0) / p.rate END)::int8,
    a.arrived
FROM arrived a JOIN edge.tag t ON t.id = a.tag JOIN device p ON p.path = t.path
LEFT JOIN good g ON g.tag = a.tag LEFT JOIN expected e ON e.path = t.path
$$;
CREATE OR REPLACE VIEW edge.completeness AS
SELECT d.day, one.device, one.tag, one.path, one.good_seconds, one.expected, one.arrived
FROM (
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'edge.reading'::regclass AND c.relname ~ '^reading_[0-9]{8}$'
    UNION SELECT (ts AT TIME ZONE 'UTC')::date FROM edge.reading_rest) d
CROSS JOIN edge.completeness_of(d.day::timestamp AT TIME ZONE 'UTC', (d.day + 1)::timestamp AT TIME ZONE 'UTC') one;
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
    _COMPLETENESS,
)
