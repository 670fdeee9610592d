-- What a POST with an Idempotency-Key was answered, for a day. fingerprint is a keyed hash of the request; answer is sealed.
CREATE TABLE idempotency_keys (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id    INTEGER NOT NULL REFERENCES owners (id),
    principal   TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    answer      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (owner_id, principal, key)
) STRICT;
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- What staff write down beside a conversation; the person never sees it. author is the public id of who wrote it.
CREATE TABLE conversation_notes (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    public_id       TEXT NOT NULL UNIQUE,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    author          TEXT NOT NULL,
    text            TEXT NOT NULL CHECK (text <> ''),
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX conversation_notes_by_conversation ON conversation_notes (owner_id, conversation_id, id);

-- The member of staff who has the conversation.
ALTER TABLE conversations ADD COLUMN assignee_id INTEGER REFERENCES users (id);
CREATE INDEX conversations_by_assignee ON conversations (owner_id, assignee_id, updated_at, id) WHERE assignee_id IS NOT NULL;
-- The newest of an owner in each state: lists take the first few of every state they show.
CREATE INDEX conversations_by_activity ON conversations (owner_id, state, updated_at, id);

CREATE INDEX ai_results_by_owner ON ai_results (owner_id, id);

ALTER TABLE templates ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
