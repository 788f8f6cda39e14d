-- What places an entry, without its record: counting, looking for times and for revisions that are missing reads
-- a small part of the file.
CREATE INDEX entry_thin ON entry (revision, from_revision, time);
