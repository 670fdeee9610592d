-- Times are milliseconds since 1970 UTC. Integer keys order rows; public_id names them outside.
-- For IN with three values or more SQLite builds a table whenever a row is checked: what is written with every message spells
-- them out with OR.

CREATE TABLE owners (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id  TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL CHECK (name <> ''),
    locale     TEXT NOT NULL DEFAULT 'pt-BR' CHECK (locale IN ('pt-BR', 'es', 'en')),
    status     TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled', 'erased')),
    created_at INTEGER NOT NULL
) STRICT;
-- The platform: whose users run the machine and belong to no tenant.
INSERT INTO owners (id, public_id, name, created_at) VALUES (0, 'own_platform', 'platform', 0);

CREATE TABLE users (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    public_id  TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('admin', 'agent', 'user', 'platform')),
    name       TEXT,
    created_at INTEGER NOT NULL,
    CHECK ((role = 'platform') = (owner_id = 0))
) STRICT;

-- Every address a person was seen under; an address belongs to one person of one owner.
CREATE TABLE user_addresses (
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    channel  TEXT NOT NULL,
    address  TEXT NOT NULL,
    user_id  INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (owner_id, channel, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_addresses_by_user ON user_addresses (user_id);

CREATE TABLE twilio_accounts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id     INTEGER NOT NULL REFERENCES owners (id),
    account_sid  TEXT NOT NULL,
    tokens       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    UNIQUE (owner_id, account_sid)
) STRICT;
CREATE INDEX twilio_accounts_by_sid ON twilio_accounts (account_sid);

CREATE TABLE twilio_numbers (
    owner_id    INTEGER NOT NULL REFERENCES owners (id),
    account_sid TEXT NOT NULL,
    address     TEXT NOT NULL,
    PRIMARY KEY (account_sid, address),
    FOREIGN KEY (owner_id, account_sid) REFERENCES twilio_accounts (owner_id, account_sid)
) STRICT, WITHOUT ROWID;

CREATE TABLE conversations (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id         INTEGER NOT NULL REFERENCES owners (id),
    public_id        TEXT NOT NULL UNIQUE,
    user_id          INTEGER NOT NULL REFERENCES users (id),
    channel          TEXT NOT NULL,
    address          TEXT NOT NULL,
    user_address     TEXT NOT NULL,
    state            TEXT NOT NULL,
    version          INTEGER NOT NULL DEFAULT 1,
    feature          TEXT,
    -- the newest inbound message that was answered; later ones are owed an answer
    answered_through INTEGER NOT NULL DEFAULT 0,
    previous_id      INTEGER REFERENCES conversations (id),
    last_inbound_at  INTEGER,
    opened_at        INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    closed_at        INTEGER,
    CHECK (
        closed_at IS NULL AND (state = 'PENDING' OR state = 'PROGRESS' OR state = 'WAITING_USER' OR state = 'HANDOFF')
        OR closed_at IS NOT NULL AND (state = 'AGENT_CLOSED' OR state = 'SUPPORT_CLOSED' OR state = 'USER_CLOSED'
            OR state = 'EXPIRED' OR state = 'IDLE_TIMEOUT' OR state = 'FAILED')
    )
) STRICT;
CREATE UNIQUE INDEX conversations_one_open ON conversations (owner_id, user_id, address) WHERE closed_at IS NULL;

CREATE TABLE conversation_events (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    from_state      TEXT,
    to_state        TEXT NOT NULL,
    actor           TEXT NOT NULL CHECK (actor = 'user' OR actor = 'agent' OR actor = 'staff' OR actor = 'system'),
    reason          TEXT NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX conversation_events_by_conversation ON conversation_events (conversation_id, id);

CREATE TABLE ai_results (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    public_id       TEXT NOT NULL UNIQUE,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    -- the newest inbound message this turn answers: one result for each, so a turn that runs again cannot answer again
    through_message_id INTEGER NOT NULL,
    feature         TEXT NOT NULL,
    outcome         TEXT NOT NULL,
    model           TEXT,
    prompt_id       TEXT,
    exchange        TEXT NOT NULL DEFAULT '[]',
    calls           TEXT NOT NULL DEFAULT '[]',
    requests        INTEGER NOT NULL DEFAULT 0,
    prompt_tokens   INTEGER NOT NULL DEFAULT 0,
    cached_tokens   INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    latency_ms      INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    UNIQUE (owner_id, conversation_id, through_message_id)
) STRICT;

CREATE TABLE messages (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    public_id       TEXT NOT NULL UNIQUE,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    direction       TEXT NOT NULL,
    author          TEXT NOT NULL CHECK (author = 'user' OR author = 'agent' OR author = 'staff' OR author = 'system'),
    kind            TEXT NOT NULL DEFAULT 'text',
    status          TEXT NOT NULL,
    body            TEXT NOT NULL,
    provider_sid    TEXT,
    quoted_sid      TEXT,
    details         TEXT,
    raw             TEXT,
    ai_result_id    INTEGER REFERENCES ai_results (id),
    error_code      INTEGER,
    -- of the latest call to the provider: when it started, and how often the message was sent again after it proved absent
    sending_at      INTEGER,
    resends         INTEGER NOT NULL DEFAULT 0,
    -- of an unknown outcome: how often the provider's listing did not have the message, and when it was asked last
    polls           INTEGER NOT NULL DEFAULT 0,
    polled_at       INTEGER,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    CHECK (
        direction = 'inbound' AND status = 'received' AND provider_sid IS NOT NULL
        OR direction = 'outbound' AND (status = 'queued' OR status = 'sending' OR status = 'sent' OR status = 'delivered'
            OR status = 'read' OR status = 'failed' OR status = 'undelivered' OR status = 'unknown' OR status = 'canceled')
    )
) STRICT;
CREATE UNIQUE INDEX messages_by_provider_sid ON messages (owner_id, provider_sid) WHERE provider_sid IS NOT NULL;
CREATE INDEX messages_by_conversation ON messages (conversation_id, id);

CREATE TABLE media (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id     INTEGER NOT NULL REFERENCES owners (id),
    message_id   INTEGER NOT NULL REFERENCES messages (id),
    position     INTEGER NOT NULL,
    url          TEXT NOT NULL,
    content_type TEXT NOT NULL,
    UNIQUE (message_id, position)
) STRICT;

-- Live jobs and dead ones; a completed job is deleted in the transaction that completes it.
-- waiting: behind another job of its key. scheduled: head of its key, not due. ready: may be claimed. dead: kept for a person.
CREATE TABLE jobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id    INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    key         TEXT,
    unique_key  TEXT,
    payload     TEXT NOT NULL CHECK (length(payload) <= 65536),
    priority    INTEGER NOT NULL DEFAULT 0,
    state       TEXT NOT NULL CHECK (state = 'ready' OR state = 'running' OR state = 'scheduled' OR state = 'waiting'
                    OR state = 'dead'),
    run_at      INTEGER NOT NULL,
    attempt     INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    rescues     INTEGER NOT NULL DEFAULT 0,
    worker      TEXT,
    lease_until INTEGER,
    error       TEXT,
    created_at  INTEGER NOT NULL,
    CHECK ((state = 'running') = (worker IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK (state <> 'waiting' OR key IS NOT NULL)
) STRICT;
-- One head per key, running or about to: two jobs of one key cannot run at once.
CREATE UNIQUE INDEX jobs_one_head ON jobs (owner_id, key) WHERE key IS NOT NULL AND state NOT IN ('waiting', 'dead');
CREATE INDEX jobs_behind ON jobs (owner_id, key, id) WHERE state = 'waiting';
CREATE INDEX jobs_ready ON jobs (owner_id, priority DESC, run_at, id) WHERE state = 'ready';
CREATE INDEX jobs_scheduled ON jobs (run_at) WHERE state = 'scheduled';
CREATE INDEX jobs_running ON jobs (owner_id) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs (owner_id, id) WHERE state = 'dead';
-- At most one job of a unique key that has not started: a claim takes the unique key off the job.
CREATE UNIQUE INDEX jobs_unique ON jobs (owner_id, kind, unique_key) WHERE unique_key IS NOT NULL;
-- Jobs whose worker died under them twice: they run alone, so that a third death condemns nobody else.
CREATE INDEX jobs_suspect ON jobs (id) WHERE rescues >= 2 AND state IN ('ready', 'running');
