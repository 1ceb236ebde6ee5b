-- comment: One row per model and profile whose averages somebody published, and per rule of averaging
-- Model values that others published: one row a model revision, profile and rule; the newest part wins.
SELECT a.* EXCLUDE (written, filename), coalesce(m.latest, true) AS latest
FROM raw_model_averages AS a
LEFT JOIN models AS m USING (model_id, revision)
QUALIFY row_number() OVER (PARTITION BY model_id, revision, a.profile, a.rule ORDER BY a.written DESC, a.filename) = 1
ORDER BY model_id, revision, a.profile, a.rule
