-- What the catalog says of the latest revision of every model: series, data set, every hyperparameter column, and the
-- model that it is under another name, if any.
SELECT m.* EXCLUDE (snapshot, note, path, weights_url, weights_sha256, licence, first_seen, last_seen, latest),
    d.double_of
FROM models AS m
LEFT JOIN doubles AS d USING (model_id)
WHERE m.latest
ORDER BY m.model_id
