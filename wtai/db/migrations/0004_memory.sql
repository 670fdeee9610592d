-- Facts worth keeping about a person. A newer fact about the same thing supersedes; nothing is overwritten.
CREATE TABLE memories (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id          INTEGER NOT NULL REFERENCES owners (id),
    public_id         TEXT NOT NULL UNIQUE,
    user_id           INTEGER NOT NULL REFERENCES users (id),
    text              TEXT NOT NULL CHECK (text <> ''),
    kind              TEXT NOT NULL DEFAULT 'fact',
    entity            TEXT,
    attribute         TEXT,
    observed_at       INTEGER NOT NULL,
    superseded_by     INTEGER REFERENCES memories (id),
    source_message_id INTEGER REFERENCES messages (id),
    text_hash         TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    UNIQUE (owner_id, user_id, text_hash)
) STRICT;
