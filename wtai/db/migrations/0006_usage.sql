-- What models were asked and cost, by owner, person, feature and day (YYYY-MM-DD, UTC). Money in millionths of a US dollar;
-- held is what calls under way may cost at most.
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

ALTER TABLE ai_results ADD COLUMN cost INTEGER NOT NULL DEFAULT 0;
-- JSON: how the specialist was chosen; which memories were shown, with their scores; what else explains the answer.
ALTER TABLE ai_results ADD COLUMN route TEXT NOT NULL DEFAULT '{}';
ALTER TABLE ai_results ADD COLUMN memories TEXT NOT NULL DEFAULT '[]';
