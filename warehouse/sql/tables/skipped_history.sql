-- comment: One row per tensor or model not analysed, for every revision of a model
-- Everything not analysed in every revision: the skips of the newest listing, a listing without any among them, and what
-- was added to them since.
WITH listing AS (
    SELECT s.model_id, s.revision, max(s.written) FILTER (WHERE s.added IS NOT TRUE) AS skips,
        max(i.written) FILTER (WHERE i.listed_skips IS NOT NULL) AS listed
    FROM raw_skipped AS s
    LEFT JOIN indexed AS i USING (model_id, revision)
    GROUP BY ALL
)
SELECT s.* EXCLUDE (written, filename), coalesce(m.latest, true) AS latest
FROM raw_skipped AS s
JOIN listing AS t USING (model_id, revision)
LEFT JOIN models AS m USING (model_id, revision)
WHERE s.written >= coalesce(greatest(t.skips, t.listed), s.written)
QUALIFY CASE
    WHEN s.added
        THEN row_number() OVER (PARTITION BY model_id, revision, s.added, s.tensor ORDER BY s.written DESC, s.filename)
    ELSE rank() OVER (PARTITION BY model_id, revision, s.added ORDER BY s.filename)
END = 1
ORDER BY model_id, revision, s.tensor NULLS FIRST, s.reason, s.detail
