-- comment: One row per model revision whose layers are listed
-- The newest listing of every model revision, by whichever version of the reader.
SELECT * EXCLUDE (filename)
FROM raw_indexed
QUALIFY row_number() OVER (PARTITION BY model_id, revision ORDER BY written DESC, filename) = 1
ORDER BY model_id, revision
