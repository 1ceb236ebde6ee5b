-- comment: One row per model revision and profile: how many of its layers have metrics
-- columns: layer_metrics, layers
-- A model is done when as many layers are covered as it has.
SELECT l.model_id, l.revision, r.unfold, r.profile_key, r.code_version, count(*) AS covered,
    count(*) FILTER (WHERE r.filtered) AS covered_filtered
FROM layers_history AS l
JOIN result_index AS r USING (content_hash)
GROUP BY ALL
ORDER BY ALL
