-- What an owner chose, as JSON of identity.preferences.Preferences; what is absent follows the settings.
ALTER TABLE owners ADD COLUMN preferences TEXT NOT NULL DEFAULT '{}';

-- Counts how often a person stepped in or out: what the AI wrote under an older epoch is not sent.
ALTER TABLE conversations ADD COLUMN takeover_epoch INTEGER NOT NULL DEFAULT 0;
-- A question of ours that the next message answers.
ALTER TABLE conversations ADD COLUMN question TEXT CHECK (question IN ('closure', 'action'));
ALTER TABLE conversations ADD COLUMN handoff_reason TEXT;
-- When the time-outs strike: idle_at while we wait for the user, expires_at while the conversation is open.
ALTER TABLE conversations ADD COLUMN idle_at INTEGER;
ALTER TABLE conversations ADD COLUMN expires_at INTEGER;
-- Until when more of a burst is waited for before a turn starts.
ALTER TABLE conversations ADD COLUMN quiet_until INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_idle ON conversations (idle_at) WHERE state = 'WAITING_USER';
CREATE INDEX conversations_expiring ON conversations (expires_at) WHERE closed_at IS NULL;
-- A person's conversations with one of our addresses: a new one looks for the one before it.
CREATE INDEX conversations_by_user ON conversations (owner_id, user_id, address, id);

CREATE TRIGGER conversations_final BEFORE UPDATE OF state ON conversations
WHEN OLD.closed_at IS NOT NULL AND NEW.state IS NOT OLD.state
BEGIN
    SELECT RAISE(ABORT, 'a final state never changes');
END;

ALTER TABLE messages ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
-- Why a queued message waits for a person instead of being sent.
ALTER TABLE messages ADD COLUMN parked TEXT CHECK (parked IN ('window', 'opted_out'));
ALTER TABLE messages ADD COLUMN content_sid TEXT;
ALTER TABLE messages ADD COLUMN content_variables TEXT;

CREATE TABLE closure_decisions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    message_id      INTEGER NOT NULL REFERENCES messages (id),
    keyword         REAL NOT NULL,
    pattern         REAL NOT NULL,
    context         REAL NOT NULL,
    modifier        REAL NOT NULL,
    confidence      REAL NOT NULL,
    veto            TEXT,
    decision        TEXT NOT NULL CHECK (decision IN ('carry_on', 'confirm', 'close')),
    created_at      INTEGER NOT NULL,
    UNIQUE (owner_id, message_id)
) STRICT;

-- A person who said STOP to one of our addresses; START deletes the row.
CREATE TABLE opt_outs (
    owner_id     INTEGER NOT NULL REFERENCES owners (id),
    user_id      INTEGER NOT NULL REFERENCES users (id),
    our_address  TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (owner_id, user_id, our_address)
) STRICT, WITHOUT ROWID;
