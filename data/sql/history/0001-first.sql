-- The first layout of the history file.  A file of this folder is never changed once released: what comes later
-- is the next number.  All run in one transaction with the change of user_version.

-- `environment`: the lineage of the database whose history this is.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Where the two chains of digests begin (what is older went by retention) and end: 'entry-first', 'entry-last',
-- 'audit-first', 'audit-last'.  The chain of the digests leads from `first` over every row to `last`.  `seal` is
-- the digest of the row itself.
CREATE TABLE mark (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    chain TEXT NOT NULL,
    digest BLOB NOT NULL,
    time INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a commit.  `from_revision`: 0, or of a fold, the revision that it leads away from.  `linked`: chain is
-- SHA-256 of the chain before and this record; not so where a server is not shown everything, or of the first row
-- after a gap.  `digest`: of the digest before and this row with its changes.
CREATE TABLE entry (
    revision INTEGER PRIMARY KEY,
    from_revision INTEGER NOT NULL,
    time INTEGER NOT NULL,
    user INTEGER NOT NULL,
    application INTEGER NOT NULL,
    address TEXT,
    chain TEXT NOT NULL,
    linked INTEGER NOT NULL,
    record TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT;

-- What an entry touched, in the order of the record.  `rights`: of a deleted object, the list in force then.
CREATE TABLE change (
    revision INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    type TEXT NOT NULL,
    dbid INTEGER NOT NULL,
    op TEXT NOT NULL,
    name TEXT NOT NULL,
    rights INTEGER,
    PRIMARY KEY (revision, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_object ON change (type, dbid, revision);

-- Lists of rights, each text once.
CREATE TABLE right_list (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    entries TEXT NOT NULL
) STRICT;

-- Revisions that are missing between two entries, and why: nothing is replayed across one.
CREATE TABLE gap (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    time INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT;

-- Sessions that may be resumed, by the hash of their token.
CREATE TABLE session (
    token TEXT PRIMARY KEY,
    time INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who was connected: kind is opened, resumed, closed, refused, read (of the past, by an administrator) or lost
-- (rows that could not be written, detail says how many).
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    session INTEGER NOT NULL,
    user INTEGER NOT NULL,
    user_name TEXT NOT NULL,
    application INTEGER NOT NULL,
    application_name TEXT NOT NULL,
    address TEXT NOT NULL,
    detail TEXT NOT NULL,
    digest BLOB NOT NULL
) STRICT;
