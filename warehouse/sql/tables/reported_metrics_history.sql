-- comment: What was ever reported about a model, one row per snapshot of its catalog
-- Every number that was ever reported, with the catalog snapshot that said so; `latest` marks the snapshot that counts.
WITH latest AS (
    SELECT model_id, snapshot FROM models WHERE latest
)
SELECT DISTINCT r.* EXCLUDE (written, filename), l.snapshot IS NOT NULL AS latest
FROM raw_reported_metrics AS r
LEFT JOIN latest AS l USING (model_id, snapshot)
ORDER BY model_id, dataset, metric, source, source_date, snapshot, value
