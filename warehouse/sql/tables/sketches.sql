-- comment: One row per distinct layer: its linear sketch and plain numbers of its values
-- Of several sketches of one content the newest counts.
SELECT * EXCLUDE (filename)
FROM raw_sketches
QUALIFY row_number() OVER (PARTITION BY content_hash ORDER BY written DESC, code_version DESC, filename) = 1
ORDER BY content_hash
