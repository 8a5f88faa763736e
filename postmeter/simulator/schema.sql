-- The ground truth. `log` is append-only: what was really sent, charged, called back, and which faults fired.
CREATE TABLE IF NOT EXISTS log (
    seq     INTEGER PRIMARY KEY,
    at      REAL NOT NULL,          -- seconds since 1970 on the simulator's clock
    kind    TEXT NOT NULL,          -- message.accepted, charge.succeeded, fault.fired, ...
    subject TEXT NOT NULL,          -- the sid or id it is about
    facts   TEXT NOT NULL           -- JSON
);
CREATE INDEX IF NOT EXISTS log_by_kind ON log (kind, seq);
CREATE INDEX IF NOT EXISTS log_by_subject ON log (subject, seq);
CREATE TRIGGER IF NOT EXISTS log_is_never_changed BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS log_is_never_shortened BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- What the log adds up to now.
CREATE TABLE IF NOT EXISTS messages (
    id            INTEGER PRIMARY KEY,
    sid           TEXT NOT NULL UNIQUE,
    direction     TEXT NOT NULL,        -- outbound-api | inbound
    sender        TEXT NOT NULL,
    recipient     TEXT NOT NULL,
    phone         TEXT NOT NULL,        -- the person's number, whoever wrote
    body          TEXT NOT NULL,
    num_segments  INTEGER NOT NULL,
    num_media     INTEGER NOT NULL,
    status        TEXT NOT NULL,
    error_code    INTEGER,
    price_micros  INTEGER,              -- of a US dollar; charged by the carrier, null until sent
    service_sid   TEXT,
    callback_url  TEXT,
    created       REAL NOT NULL,
    updated       REAL NOT NULL,
    sent          REAL,
    visible_from  REAL NOT NULL         -- lists do not show it earlier (a lookup that misses at first)
);
CREATE INDEX IF NOT EXISTS messages_by_phone ON messages (phone, id);
CREATE INDEX IF NOT EXISTS messages_by_recipient ON messages (recipient, id);
CREATE TABLE IF NOT EXISTS calls (      -- each has a row in messages, too: what was said on it
    id            INTEGER PRIMARY KEY,
    sid           TEXT NOT NULL UNIQUE,
    parent        TEXT,                 -- the call that was put through to this one
    sender        TEXT NOT NULL,
    recipient     TEXT NOT NULL,
    url           TEXT NOT NULL,        -- where it is asked what to say
    callback_url  TEXT NOT NULL,
    time_limit    INTEGER NOT NULL,     -- seconds
    detect        INTEGER NOT NULL,     -- whether somebody wants to know if a machine answers
    status        TEXT NOT NULL,
    answered_by   TEXT,
    keys          TEXT NOT NULL,        -- that will be pressed
    action        TEXT NOT NULL DEFAULT '',     -- where a key that is pressed now goes
    talks_to      TEXT NOT NULL DEFAULT '',     -- the other call
    dialled_at    REAL NOT NULL DEFAULT 0,      -- what was spent by then
    spent         REAL NOT NULL DEFAULT 0,      -- seconds since it was answered
    since         REAL NOT NULL DEFAULT 0,      -- when the present step began, and how long it takes
    part          REAL NOT NULL DEFAULT 0,
    turn          INTEGER NOT NULL DEFAULT 0,   -- counts what was begun: older plans are void
    created       REAL NOT NULL,
    visible_from  REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_by_recipient ON calls (recipient, id);
CREATE TABLE IF NOT EXISTS media (      -- pictures that people sent in
    sid           TEXT PRIMARY KEY,
    message       TEXT NOT NULL,
    content       BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS objects (    -- the payment gateway's: customers, payment intents, ...
    position      INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    kind          TEXT NOT NULL,
    created       INTEGER NOT NULL,
    visible_from  REAL NOT NULL,
    data          TEXT NOT NULL,        -- JSON as answered
    inner         TEXT NOT NULL         -- JSON that only the simulator sees: the card's number, a webhook's secret
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, position);
CREATE TABLE IF NOT EXISTS idempotency (
    key           TEXT PRIMARY KEY,
    fingerprint   TEXT NOT NULL,
    status        INTEGER NOT NULL,
    body          BLOB NOT NULL,
    created       REAL NOT NULL
);

-- What is still to happen, and how we were set up.
CREATE TABLE IF NOT EXISTS agenda (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    due   REAL NOT NULL,
    kind  TEXT NOT NULL,
    again INTEGER NOT NULL,             -- a repetition of something that failed
    facts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rules (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    spec  TEXT NOT NULL,
    seen  INTEGER NOT NULL DEFAULT 0,
    fired INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS knobs (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
