-- Who was erased: kept for ever, and applied to every back-up that is restored. subject is the SHA-256 of the public id; addresses
-- is a JSON list of HMACs, each with the id of its key. receipt is JSON; finished_at is when nothing of the person was left in any
-- file.
CREATE TABLE erasures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id     INTEGER NOT NULL REFERENCES owners (id),
    public_id    TEXT NOT NULL UNIQUE,
    subject_kind TEXT NOT NULL CHECK (subject_kind IN ('user', 'owner')),
    subject      TEXT NOT NULL,
    addresses    TEXT NOT NULL DEFAULT '[]',
    -- JSON list of the owner's addresses from which the person wanted nothing
    opt_outs     TEXT NOT NULL DEFAULT '[]',
    receipt      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER
) STRICT;
CREATE INDEX erasures_by_owner ON erasures (owner_id, id);

-- Opt-outs of erased people: an HMAC of the address, with the id of its key, all that is left of them. The address that comes back
-- is opted out again, and the row goes.
CREATE TABLE kept_opt_outs (
    owner_id    INTEGER NOT NULL REFERENCES owners (id),
    our_address TEXT NOT NULL,
    digest      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (owner_id, digest, our_address)
) STRICT, WITHOUT ROWID;

-- Nothing comes into an erased owner, whatever was under way: all of a person's rows need a user, all sends an account.
CREATE TRIGGER users_of_erased_owners BEFORE INSERT ON users
WHEN EXISTS (SELECT 1 FROM owners WHERE id = NEW.owner_id AND status = 'erased')
BEGIN
    SELECT RAISE(ABORT, 'the owner is erased');
END;
CREATE TRIGGER accounts_of_erased_owners BEFORE INSERT ON twilio_accounts
WHEN EXISTS (SELECT 1 FROM owners WHERE id = NEW.owner_id AND status = 'erased')
BEGIN
    SELECT RAISE(ABORT, 'the owner is erased');
END;
CREATE TRIGGER audit_of_erased_owners BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM owners WHERE id = NEW.owner_id AND status = 'erased')
BEGIN
    SELECT RAISE(ABORT, 'the owner is erased');
END;
CREATE TRIGGER owners_stay_erased BEFORE UPDATE ON owners WHEN OLD.status = 'erased'
BEGIN
    SELECT RAISE(ABORT, 'the owner is erased');
END;

-- A row that others refer to is looked for in each of their tables when it is deleted: without these, in all of it.
CREATE INDEX messages_by_ai_result ON messages (ai_result_id) WHERE ai_result_id IS NOT NULL;
CREATE INDEX closure_decisions_by_message ON closure_decisions (message_id);
CREATE INDEX closure_decisions_by_conversation ON closure_decisions (conversation_id);
CREATE INDEX ai_results_by_conversation ON ai_results (conversation_id);
CREATE INDEX tool_runs_by_conversation ON tool_runs (conversation_id);
CREATE INDEX ledger_entries_by_message ON ledger_entries (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX conversations_by_previous ON conversations (previous_id) WHERE previous_id IS NOT NULL;
