-- What an owner switched and set. A built-in specialist without a row is on, with its defaults; a row of another name is a
-- specialist of the owner's own. config is JSON, checked by the feature's model.
CREATE TABLE features (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    public_id  TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL CHECK (name <> ''),
    enabled    INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    config     TEXT NOT NULL DEFAULT '{}',
    version    INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (owner_id, name)
) STRICT;

-- Tools of an owner's own, behind a URL. secret is sealed; parameters is a JSON schema.
CREATE TABLE http_tools (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    public_id       TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL CHECK (name <> ''),
    description     TEXT NOT NULL,
    parameters      TEXT NOT NULL,
    url             TEXT NOT NULL,
    secret          TEXT NOT NULL,
    effect          TEXT NOT NULL CHECK (effect IN ('read', 'reversible', 'irreversible')),
    timeout_seconds REAL NOT NULL CHECK (timeout_seconds > 0 AND timeout_seconds <= 30),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    UNIQUE (owner_id, name)
) STRICT;

-- What tools with an effect did in a turn. turn is the conversation's answered_through when the turn began, the same for each
-- draft and each try; call is a hash of tool, arguments and the how-manieth such call it is.
CREATE TABLE tool_runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    turn            INTEGER NOT NULL,
    call            TEXT NOT NULL,
    tool            TEXT NOT NULL,
    arguments       TEXT NOT NULL,
    -- NULL while a tool outside of the database is being called
    result          TEXT,
    failed          INTEGER NOT NULL DEFAULT 0 CHECK (failed IN (0, 1)),
    created_at      INTEGER NOT NULL,
    UNIQUE (owner_id, conversation_id, turn, call)
) STRICT;

-- An action whose arguments are frozen until the person said yes: frozen, then asked with the answer that shows the question.
CREATE TABLE pending_actions (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    feature         TEXT NOT NULL,
    tool            TEXT NOT NULL,
    arguments       TEXT NOT NULL,
    question        TEXT NOT NULL,
    status          TEXT NOT NULL CHECK (status IN ('frozen', 'asked', 'confirmed', 'refused', 'dropped')),
    expires_at      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX pending_actions_one ON pending_actions (owner_id, conversation_id) WHERE status IN ('frozen', 'asked');

-- The finance specialist's ledger. Amounts in minor units (cents), dates as YYYY-MM-DD.
CREATE TABLE ledger_entries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id    INTEGER NOT NULL REFERENCES owners (id),
    public_id   TEXT NOT NULL UNIQUE,
    user_id     INTEGER NOT NULL REFERENCES users (id),
    kind        TEXT NOT NULL CHECK (kind IN ('income', 'expense')),
    amount      INTEGER NOT NULL CHECK (amount > 0),
    category    TEXT NOT NULL,
    description TEXT NOT NULL,
    entry_date  TEXT NOT NULL CHECK (entry_date GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
    -- the message that asked for it; the entry outlives it
    message_id  INTEGER REFERENCES messages (id) ON DELETE SET NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX ledger_entries_by_user ON ledger_entries (owner_id, user_id, entry_date, id);

-- People whom a user told of. birthday is YYYY-MM-DD, or --MM-DD where the year is not known (ISO 8601-1:2004).
CREATE TABLE people (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id   INTEGER NOT NULL REFERENCES owners (id),
    public_id  TEXT NOT NULL UNIQUE,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    name       TEXT NOT NULL CHECK (name <> ''),
    -- the name in lower case without accents: one row for each
    folded     TEXT NOT NULL,
    relation   TEXT,
    birthday   TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (owner_id, user_id, folded)
) STRICT;

CREATE TABLE interactions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id    INTEGER NOT NULL REFERENCES owners (id),
    public_id   TEXT NOT NULL UNIQUE,
    user_id     INTEGER NOT NULL REFERENCES users (id),
    person_id   INTEGER NOT NULL REFERENCES people (id),
    kind        TEXT NOT NULL CHECK (kind IN ('note', 'contact')),
    text        TEXT NOT NULL,
    happened_on TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX interactions_by_person ON interactions (owner_id, user_id, person_id, id);

CREATE TABLE reminders (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id        INTEGER NOT NULL REFERENCES owners (id),
    public_id       TEXT NOT NULL UNIQUE,
    user_id         INTEGER NOT NULL REFERENCES users (id),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    text            TEXT NOT NULL CHECK (text <> ''),
    -- what was agreed: the first time, by the clock on the wall of time_zone; all later ones follow from it
    first_at        TEXT NOT NULL,
    time_zone       TEXT NOT NULL,
    due_at          INTEGER NOT NULL,
    repeats         TEXT NOT NULL DEFAULT 'never' CHECK (repeats IN ('never', 'daily', 'weekly', 'monthly', 'yearly')),
    status          TEXT NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'sent', 'canceled')),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX reminders_by_user ON reminders (owner_id, user_id, due_at) WHERE status = 'scheduled';

-- Approved templates, by what they are for: 'reminder' takes its text as variable 1.
CREATE TABLE templates (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_id    INTEGER NOT NULL REFERENCES owners (id),
    public_id   TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL CHECK (name <> ''),
    locale      TEXT NOT NULL CHECK (locale IN ('pt-BR', 'es', 'en')),
    content_sid TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (owner_id, name, locale)
) STRICT;
