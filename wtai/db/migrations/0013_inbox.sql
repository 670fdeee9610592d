-- Since when somebody waits for us: the first message that is not answered, or the moment at which a person was called.
ALTER TABLE conversations ADD COLUMN waiting_since INTEGER;
UPDATE conversations SET waiting_since = (
    SELECT min(m.created_at) FROM messages m
    WHERE m.owner_id = conversations.owner_id AND m.conversation_id = conversations.id AND m.direction = 'inbound'
        AND m.id > conversations.answered_through
) WHERE closed_at IS NULL AND state <> 'WAITING_USER';
-- Whoever waits longest comes first, then those for whom nobody waits, the latest changed first.
CREATE INDEX conversations_by_urgency
    ON conversations (owner_id, state, coalesce(9007199254740992 - waiting_since, updated_at), id) WHERE closed_at IS NULL;
CREATE INDEX conversations_by_urgency_for
    ON conversations (owner_id, assignee_id, coalesce(9007199254740992 - waiting_since, updated_at), id)
    WHERE closed_at IS NULL AND assignee_id IS NOT NULL;

-- Up to which message a member of staff has read a conversation.
CREATE TABLE read_marks (
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    user_id         INTEGER NOT NULL REFERENCES users (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    through         INTEGER NOT NULL,
    PRIMARY KEY (owner_id, user_id, conversation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX read_marks_by_conversation ON read_marks (conversation_id);
CREATE INDEX read_marks_by_user ON read_marks (user_id);

-- What staff sort conversations by. folded is the name without case and accents; colour names a pair of colours of the console's.
CREATE TABLE labels (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    public_id  TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL CHECK (name <> ''),
    folded     TEXT NOT NULL,
    colour     TEXT NOT NULL CHECK (colour IN ('grey', 'red', 'orange', 'yellow', 'green', 'blue', 'purple', 'pink')),
    created_at INTEGER NOT NULL,
    UNIQUE (owner_id, folded)
) STRICT;

CREATE TABLE conversation_labels (
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    label_id        INTEGER NOT NULL REFERENCES labels (id) ON DELETE CASCADE,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (owner_id, label_id, conversation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_labels_by_label ON conversation_labels (label_id);
CREATE INDEX conversation_labels_by_conversation ON conversation_labels (conversation_id, label_id);

-- What a person is found by: name and addresses, folded. NULL until the index has come by, and again once one of them changed.
ALTER TABLE users ADD COLUMN found_by TEXT;
CREATE INDEX users_found_by ON users (owner_id, found_by) WHERE role = 'user';
CREATE INDEX users_not_found ON users (owner_id, id) WHERE role = 'user' AND found_by IS NULL;
CREATE TRIGGER users_renamed AFTER UPDATE OF name ON users WHEN NEW.name IS NOT OLD.name
BEGIN
    UPDATE users SET found_by = NULL WHERE id = NEW.id;
END;
CREATE TRIGGER users_seen_elsewhere AFTER INSERT ON user_addresses
BEGIN
    UPDATE users SET found_by = NULL WHERE id = NEW.user_id AND found_by IS NOT NULL;
END;

-- The words of messages and of what was said in audio, each prefixed by its owner; filled behind, never while a message is taken.
-- A row's key is 16 times that of its message, plus one and the position for an attachment's transcript: newest first by key.
CREATE VIRTUAL TABLE message_words USING fts5 (words, content = '', detail = none, columnsize = 0, tokenize = 'ascii');
INSERT INTO message_words (message_words, rank) VALUES ('secure-delete', 1);
-- The words themselves, with the number of messages each is in: what the beginning of a word may go on to.
CREATE TABLE message_terms (
    owner_id INTEGER NOT NULL REFERENCES owners (id),
    word     TEXT NOT NULL,
    uses     INTEGER NOT NULL,
    PRIMARY KEY (owner_id, word)
) STRICT, WITHOUT ROWID;
-- Up to which message it is filled, for all owners: so the row is the platform's.
CREATE TABLE message_words_progress (
    owner_id INTEGER NOT NULL PRIMARY KEY REFERENCES owners (id),
    through  INTEGER NOT NULL
) STRICT;
INSERT INTO message_words_progress (owner_id, through) VALUES (0, 0);
-- Whether what was said in it is among the words.
ALTER TABLE media ADD COLUMN worded INTEGER NOT NULL DEFAULT 0 CHECK (worded IN (0, 1));
CREATE INDEX media_not_worded ON media (id) WHERE transcript IS NOT NULL AND worded = 0;
