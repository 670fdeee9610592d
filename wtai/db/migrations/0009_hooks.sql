-- Where an owner wants to be told of events. secrets is a JSON list of sealed texts: the one in force and, up to previous_until,
-- the one before it. events is a JSON list of types. paused_until is what the receiver asked for by Retry-After.
CREATE TABLE webhook_endpoints (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    public_id       TEXT NOT NULL UNIQUE,
    url             TEXT NOT NULL,
    secrets         TEXT NOT NULL,
    previous_until  INTEGER,
    events          TEXT NOT NULL,
    status          TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    disabled_reason TEXT,
    paused_until    INTEGER NOT NULL DEFAULT 0,
    version         INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL))
) STRICT;
CREATE INDEX webhook_endpoints_by_owner ON webhook_endpoints (owner_id, id);
-- Asked in every transaction that tells an event.
CREATE INDEX webhook_endpoints_active ON webhook_endpoints (owner_id, id) WHERE status = 'active';

-- One event for one endpoint. pending: to be tried; failed: to be tried again; dead: kept for a person. attempts counts tries
-- since the event or since the latest replay. user_id is whom the payload is about.
CREATE TABLE webhook_deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id    INTEGER NOT NULL REFERENCES owners (id),
    public_id   TEXT NOT NULL UNIQUE,
    endpoint_id INTEGER NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    event_id    TEXT NOT NULL,
    event_type  TEXT NOT NULL,
    user_id     INTEGER REFERENCES users (id),
    payload     TEXT NOT NULL,
    status      TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'dead')),
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER,
    last_status INTEGER,
    last_error  TEXT,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    UNIQUE (endpoint_id, event_id),
    CHECK ((next_at IS NOT NULL) = (status IN ('pending', 'failed')))
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_at, id) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_owner ON webhook_deliveries (owner_id, id);
CREATE INDEX webhook_deliveries_by_status ON webhook_deliveries (endpoint_id, status, created_at);
CREATE INDEX webhook_deliveries_by_user ON webhook_deliveries (user_id) WHERE user_id IS NOT NULL;
