-- Means over layers of every revision of models that have more than one.
SELECT l.model_id, l.revision, l.profile, count(*) AS layers, avg(l.alpha) AS alpha,
    avg(l.alpha_weighted) AS alpha_weighted, avg(l.log_norm) AS log_norm,
    avg(l.log_spectral_norm) AS log_spectral_norm, avg(l.log_alpha_norm) AS log_alpha_norm
FROM layer_metrics_history AS l
WHERE l.counted
    AND l.model_id IN (SELECT model_id FROM models GROUP BY model_id HAVING count(*) > 1)
GROUP BY l.model_id, l.revision, l.profile
ORDER BY ALL
