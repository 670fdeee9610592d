-- Who of the staff wrote a message or moved a conversation: the public id of a user, or of an API token.
ALTER TABLE messages ADD COLUMN staff TEXT;
ALTER TABLE conversation_events ADD COLUMN staff TEXT;
CREATE INDEX messages_by_staff ON messages (owner_id, staff) WHERE staff IS NOT NULL;
CREATE INDEX conversation_events_by_staff ON conversation_events (owner_id, staff) WHERE staff IS NOT NULL;

-- What a member of staff has begun to write in a conversation and not sent.
CREATE TABLE drafts (
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    user_id         INTEGER NOT NULL REFERENCES users (id),
    kind            TEXT NOT NULL CHECK (kind IN ('reply', 'note')),
    text            TEXT NOT NULL CHECK (text <> ''),
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (owner_id, conversation_id, user_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX drafts_by_conversation ON drafts (conversation_id);
CREATE INDEX drafts_by_user ON drafts (user_id);

-- Forms that were sent, for a day: one that comes again does nothing again.
CREATE TABLE used_forms (
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    token      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner_id, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_forms_by_time ON used_forms (owner_id, created_at);

-- Texts that staff answer with again and again, each under a short name.
CREATE TABLE canned_replies (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    public_id  TEXT NOT NULL UNIQUE,
    shortcut   TEXT NOT NULL CHECK (shortcut <> ''),
    text       TEXT NOT NULL CHECK (text <> ''),
    version    INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    UNIQUE (owner_id, shortcut)
) STRICT;
