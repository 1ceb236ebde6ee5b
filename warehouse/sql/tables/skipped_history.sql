-- comment: One row per tensor or model not analysed, for every revision of a model
-- Everything not analysed in every revision; the newest part of a revision stands for the whole of it.
SELECT s.* EXCLUDE (written, filename), coalesce(m.latest, true) AS latest
FROM raw_skipped AS s
LEFT JOIN models AS m USING (model_id, revision)
QUALIFY rank() OVER (PARTITION BY model_id, revision ORDER BY s.written DESC, s.filename) = 1
ORDER BY model_id, revision, tensor NULLS FIRST, reason, detail
