-- What features were set to, one row for each time: who, when, and to what. config is NULL where it went back to what the program
-- ships. version counts on for ever, so that none stands for two states.
CREATE TABLE feature_versions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    name       TEXT NOT NULL CHECK (name <> ''),
    version    INTEGER NOT NULL CHECK (version > 0),
    enabled    INTEGER CHECK (enabled IN (0, 1)),
    config     TEXT,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('user', 'token', 'operator', 'system')),
    actor      TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (owner_id, name, version),
    CHECK ((enabled IS NULL) = (config IS NULL))
) STRICT;
INSERT INTO feature_versions (owner_id, name, version, enabled, config, actor_kind, created_at)
SELECT owner_id, name, version, enabled, config, 'system', updated_at FROM features;

-- The people who write, newest first, and the audit log by what was done and by what it was about.
CREATE INDEX users_who_write ON users (owner_id, id) WHERE email IS NULL;
CREATE INDEX audit_log_by_action ON audit_log (owner_id, action, id);
CREATE INDEX audit_log_by_target ON audit_log (owner_id, target, id) WHERE target IS NOT NULL;
