ALTER TABLE owners ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- Who may log in: staff and the platform's people have an e-mail address and a password, end users have neither.
ALTER TABLE users ADD COLUMN email TEXT CHECK ((email IS NULL) = (role = 'user'));
ALTER TABLE users ADD COLUMN password_hash TEXT CHECK ((password_hash IS NULL) = (role = 'user'));
ALTER TABLE users ADD COLUMN status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled'));
-- Counts what makes access tokens void: a password, a role, a status that changed.
ALTER TABLE users ADD COLUMN token_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE users ADD COLUMN updated_at INTEGER;
CREATE UNIQUE INDEX users_by_email ON users (email, owner_id) WHERE email IS NOT NULL;
CREATE INDEX users_staff ON users (owner_id, id) WHERE email IS NOT NULL;

-- What owners subscribe to. limits is JSON of identity.plans.PlanLimits.
CREATE TABLE plans (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id  TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL UNIQUE CHECK (name <> ''),
    limits     TEXT NOT NULL DEFAULT '{}',
    version    INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO plans (public_id, name, created_at, updated_at) VALUES ('pln_unlimited', 'unlimited', 0, 0);

-- Periods are the months of UTC; the row's is the last one that was written down.
CREATE TABLE subscriptions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id     INTEGER NOT NULL UNIQUE REFERENCES owners (id),
    public_id    TEXT NOT NULL UNIQUE,
    plan_id      INTEGER NOT NULL REFERENCES plans (id),
    status       TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    period_start INTEGER NOT NULL,
    period_end   INTEGER NOT NULL CHECK (period_end > period_start),
    version      INTEGER NOT NULL DEFAULT 1,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX subscriptions_by_plan ON subscriptions (plan_id);
CREATE INDEX subscriptions_ending ON subscriptions (period_end);

-- A limit of the plan that was reached, once for each period (YYYY-MM or YYYY-MM-DD, UTC); user_id where it is one person's.
CREATE TABLE quota_alerts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    quota      TEXT NOT NULL,
    period     TEXT NOT NULL,
    user_id    INTEGER REFERENCES users (id),
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX quota_alerts_once ON quota_alerts (owner_id, quota, period, coalesce(user_id, 0));
-- What a plan counts of an owner's month.
CREATE INDEX messages_inbound_by_time ON messages (owner_id, created_at) WHERE direction = 'inbound';

-- A log-in and all the refresh tokens that followed from it.
CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id     INTEGER NOT NULL REFERENCES owners (id),
    public_id    TEXT NOT NULL UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES users (id),
    address      TEXT,
    created_at   INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    -- without a refresh until idle_until, and at ends_at in any case, it is over
    idle_until   INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    revoked_at   INTEGER,
    reason       TEXT,
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
) STRICT;
CREATE INDEX sessions_by_user ON sessions (owner_id, user_id, id);
CREATE INDEX sessions_ending ON sessions (idle_until);

-- hash is SHA-256; used_at is when its successor was given out.
CREATE TABLE refresh_tokens (
    hash       TEXT PRIMARY KEY,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    session_id INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    used_at    INTEGER,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- prefix is the visible start of the token, hash the SHA-256 of all of it; scopes is a JSON list; role is the most it may be.
CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id     INTEGER NOT NULL REFERENCES owners (id),
    public_id    TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL CHECK (name <> ''),
    prefix       TEXT NOT NULL,
    hash         TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL CHECK (role IN ('admin', 'agent', 'platform')),
    scopes       TEXT NOT NULL,
    -- who made it; NULL: the operator, at the machine
    user_id      INTEGER REFERENCES users (id),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    CHECK ((role = 'platform') = (owner_id = 0))
) STRICT;
CREATE INDEX api_tokens_by_owner ON api_tokens (owner_id, id);

CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    public_id  TEXT NOT NULL UNIQUE,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('user', 'token', 'operator', 'system')),
    actor      TEXT,
    action     TEXT NOT NULL,
    target     TEXT,
    address    TEXT,
    outcome    TEXT NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    details    TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_log_by_owner ON audit_log (owner_id, id);

-- Holds an owner while some of its audit log is being erased, for the length of one transaction.
CREATE TABLE audit_erasures (
    owner_id INTEGER NOT NULL PRIMARY KEY REFERENCES owners (id)
) STRICT;
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_erasures WHERE owner_id = OLD.owner_id)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
-- A replacing INSERT deletes without asking the trigger below.
CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id OR public_id = NEW.public_id)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_erasures WHERE owner_id = OLD.owner_id)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
