-- What places an entry, without its record: counting, looking for times and for revisions that are missing reads
-- a small part of the file.
CREATE INDEX entry_thin ON entry (revision, from_revision, time);
-- Folds are few.
CREATE INDEX entry_fold ON entry (revision, from_revision) WHERE from_revision > 0;
