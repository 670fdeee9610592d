-- What the dashboard shows: counters by owner, span of time and measure. start is the hour of UTC (YYYY-MM-DDTHH) or the day
-- (YYYY-MM-DD): the owner's own, but UTC's for usage. What each measure counts, and what its keys are, stands in rollups/model.py.
CREATE TABLE rollups (
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    span     TEXT NOT NULL CHECK (span IN ('hour', 'day')),
    start    TEXT NOT NULL,
    measure  TEXT NOT NULL,
    key      TEXT NOT NULL,
    -- '': of no specialist in particular
    feature  TEXT NOT NULL,
    count    INTEGER NOT NULL,
    -- in the order in which they are added up
    PRIMARY KEY (owner_id, span, start, measure, key, feature)
) STRICT, WITHOUT ROWID;
-- Those that are summed up anew while their day may still change.
CREATE INDEX rollups_of_sums ON rollups (start) WHERE measure IN ('failed', 'usage');

-- How far the platform has counted, written with the counters: the last row of a log, the moment (ms) of a sum.
CREATE TABLE rollup_positions (
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    source   TEXT NOT NULL,
    through  INTEGER NOT NULL,
    PRIMARY KEY (owner_id, source)
) STRICT, WITHOUT ROWID;

CREATE INDEX messages_failed ON messages (created_at) WHERE status IN ('failed', 'undelivered');
CREATE INDEX usage_by_day ON usage (day);
