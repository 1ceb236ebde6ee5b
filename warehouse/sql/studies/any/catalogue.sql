-- What the catalogue says of the latest revision of every model: series, data set, and every hyperparameter column.
SELECT * EXCLUDE (snapshot, note, path, weights_url, weights_sha256, licence, first_seen, last_seen, latest)
FROM models
WHERE latest
ORDER BY model_id
