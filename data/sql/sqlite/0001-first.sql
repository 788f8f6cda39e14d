-- The first layout of the SQLite database.  A file of this folder is never changed once released: what comes
-- later is the next number.  All run in one transaction with the change of user_version.

-- Who commits, and how far history has come; exactly one row once the database is initialised.
CREATE TABLE lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    environment TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    chain TEXT NOT NULL,
    beat INTEGER NOT NULL,
    holder TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;

-- Type ids take 16 bits and dbids 53: too much for one rowid.  Each type that has objects gets a slot of
-- 10 bits.
CREATE TABLE object_type (
    slot INTEGER PRIMARY KEY CHECK (slot BETWEEN 1 AND 1023),
    type INTEGER NOT NULL UNIQUE
) STRICT;

-- key = slot * 2^53 + dbid, so that the rows of a type lie together in the order of dbid and are read in one
-- sweep.
CREATE TABLE object (
    key INTEGER PRIMARY KEY,
    revision INTEGER NOT NULL,
    acl_revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    secrets TEXT,
    permissions TEXT
) STRICT;

CREATE TABLE next_dbid (
    type INTEGER PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT;

-- total = bytes of this record and of all before it: the size of any range is one subtraction.
CREATE TABLE change (
    revision INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    chain TEXT NOT NULL,
    total INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;

-- For people with a sqlite3 prompt; the program does not use it.
CREATE VIEW objects AS
SELECT t.type AS type, o.key & 9007199254740991 AS dbid, o.revision AS revision, o.body AS body,
    o.permissions AS permissions
FROM object o JOIN object_type t ON t.slot = o.key >> 53;
