-- Facts worth keeping about a person. A newer fact about the same thing supersedes; nothing is overwritten.
CREATE TABLE memories (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id          INTEGER NOT NULL REFERENCES owners (id),
    public_id         TEXT NOT NULL UNIQUE,
    user_id           INTEGER NOT NULL REFERENCES users (id),
    text              TEXT NOT NULL CHECK (text <> ''),
    kind              TEXT NOT NULL DEFAULT 'fact',
    -- what the fact is about, folded: facts with the same entity and attribute follow one another
    entity            TEXT,
    attribute         TEXT,
    observed_at       INTEGER NOT NULL,
    superseded_by     INTEGER,
    source_message_id INTEGER REFERENCES messages (id) ON DELETE SET NULL,
    text_hash         TEXT NOT NULL,
    -- the keys under which memory_words has the fact, one space apart, and the version of what made them
    keys              TEXT NOT NULL,
    keys_version      INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    UNIQUE (owner_id, user_id, text_hash),
    -- what belongs to a fact belongs to the same person
    UNIQUE (owner_id, user_id, id),
    FOREIGN KEY (owner_id, user_id, superseded_by) REFERENCES memories (owner_id, user_id, id)
) STRICT;
CREATE INDEX memories_about ON memories (owner_id, user_id, entity, attribute) WHERE entity IS NOT NULL;
CREATE INDEX memories_successors ON memories (owner_id, user_id, superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX memories_by_source ON memories (source_message_id) WHERE source_message_id IS NOT NULL;

-- The facts as vectors: unit vectors of 8-bit integers, 256 to the one, of the model named. A person's lie side by side.
CREATE TABLE memory_vectors (
    owner_id  INTEGER NOT NULL REFERENCES owners (id),
    user_id   INTEGER NOT NULL REFERENCES users (id),
    memory_id INTEGER NOT NULL,
    model     TEXT NOT NULL,
    vector    BLOB NOT NULL,
    PRIMARY KEY (owner_id, user_id, memory_id),
    FOREIGN KEY (owner_id, user_id, memory_id) REFERENCES memories (owner_id, user_id, id)
) STRICT, WITHOUT ROWID;

-- The keys of all facts, each prefixed by its owner and person: no posting list has rows of two people. A deleted fact's keys
-- are removed at once.
CREATE VIRTUAL TABLE memory_words USING fts5 (keys, content = '', detail = none, columnsize = 0, tokenize = 'ascii');
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
CREATE VIRTUAL TABLE memory_vocabulary USING fts5vocab (memory_words, row);

-- What a conversation's turns up to summary_through come to; those up to summary_from are not told any more.
ALTER TABLE conversations ADD COLUMN summary TEXT;
ALTER TABLE conversations ADD COLUMN summary_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN summary_through INTEGER NOT NULL DEFAULT 0;
-- Up to which message facts were taken from the conversation.
ALTER TABLE conversations ADD COLUMN extracted_through INTEGER NOT NULL DEFAULT 0;
