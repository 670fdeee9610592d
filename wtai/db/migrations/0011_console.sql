-- A log-in from a browser: SHA-256 of what its cookie holds. Such a session has no refresh tokens.
ALTER TABLE sessions ADD COLUMN cookie_hash TEXT;
CREATE UNIQUE INDEX sessions_by_cookie ON sessions (cookie_hash) WHERE cookie_hash IS NOT NULL;

-- In which conversation something moved, in the order of commits: what live pages follow. Pruned after an hour.
CREATE TABLE changes (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    created_at      INTEGER NOT NULL
) STRICT;

-- By triggers, so that no writer can forget them; but new messages by the two statements that insert them, since a trigger has
-- SQLite journal every insertion.
CREATE TRIGGER changes_by_status AFTER UPDATE OF status, parked ON messages
WHEN NEW.status IS NOT OLD.status OR NEW.parked IS NOT OLD.parked
BEGIN
    INSERT INTO changes (owner_id, conversation_id, created_at) VALUES (NEW.owner_id, NEW.conversation_id, NEW.updated_at);
END;
CREATE TRIGGER changes_by_state AFTER UPDATE OF state, assignee_id ON conversations
WHEN NEW.state IS NOT OLD.state OR NEW.assignee_id IS NOT OLD.assignee_id
BEGIN
    INSERT INTO changes (owner_id, conversation_id, created_at) VALUES (NEW.owner_id, NEW.id, NEW.updated_at);
END;
CREATE TRIGGER changes_by_note AFTER INSERT ON conversation_notes
BEGIN
    INSERT INTO changes (owner_id, conversation_id, created_at) VALUES (NEW.owner_id, NEW.conversation_id, NEW.created_at);
END;
CREATE TRIGGER changes_by_media AFTER UPDATE OF status, transcript ON media
BEGIN
    INSERT INTO changes (owner_id, conversation_id, created_at)
    SELECT m.owner_id, m.conversation_id, m.updated_at FROM messages m WHERE m.id = NEW.message_id;
END;
