-- What models were asked and cost, by owner, person, feature and day (YYYY-MM-DD, UTC). Money in millionths of a US dollar;
-- held is what calls may cost at most that are under way, or whose outcome will never be known.
CREATE TABLE usage (
    owner_id          INTEGER NOT NULL REFERENCES owners (id),
    user_id           INTEGER NOT NULL REFERENCES users (id),
    feature           TEXT NOT NULL,
    day               TEXT NOT NULL,
    requests          INTEGER NOT NULL DEFAULT 0,
    prompt_tokens     INTEGER NOT NULL DEFAULT 0,
    cached_tokens     INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    cost              INTEGER NOT NULL DEFAULT 0,
    held              INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    PRIMARY KEY (owner_id, day, user_id, feature)
) STRICT, WITHOUT ROWID;

-- An owner's cost and held of a month (YYYY-MM, UTC): the sum over usage, so that a budget need not add it up before each call.
CREATE TABLE usage_months (
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    month    TEXT NOT NULL,
    booked   INTEGER NOT NULL CHECK (booked >= 0),
    PRIMARY KEY (owner_id, month)
) STRICT, WITHOUT ROWID;

-- A budget that was reached, once for each period (YYYY-MM or YYYY-MM-DD, UTC); user_id where it is one person's.
CREATE TABLE budget_alerts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    budget     TEXT NOT NULL CHECK (budget IN ('month', 'user_day')),
    period     TEXT NOT NULL,
    user_id    INTEGER REFERENCES users (id),
    created_at INTEGER NOT NULL,
    CHECK ((budget = 'user_day') = (user_id IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX budget_alerts_once ON budget_alerts (owner_id, budget, period, coalesce(user_id, 0));

ALTER TABLE ai_results ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;
-- JSON: how the specialist was chosen; which memories were shown, with their scores; what else explains the answer.
ALTER TABLE ai_results ADD COLUMN route TEXT NOT NULL DEFAULT '{}';
ALTER TABLE ai_results ADD COLUMN memories TEXT NOT NULL DEFAULT '[]';
