-- Every revision of every model with the times it was in a catalog, and its zoo's newest time.
SELECT model_id, revision, zoo, series, dataset, first_seen, last_seen, latest,
    max(last_seen) OVER (PARTITION BY zoo) AS zoo_seen,
    row_number() OVER (PARTITION BY model_id ORDER BY last_seen, first_seen, revision) AS nth,
    count(*) OVER (PARTITION BY model_id) AS revisions
FROM models
ORDER BY model_id, nth
