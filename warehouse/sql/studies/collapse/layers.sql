-- Layers of two models, or of every model when none is named; embeddings and parts of fused matrices do not count.
SELECT l.model_id, m.name, m.series, l.profile, l.layer_id, l.longname, l.layer_type, l.N, l.M, l.alpha, l.log_norm,
    l.log_spectral_norm
FROM layer_metrics AS l
JOIN models AS m USING (model_id, revision)
WHERE in_means(l.layer_type)
    AND ($model IS NULL OR l.model_id GLOB $model OR ($base IS NOT NULL AND l.model_id GLOB $base))
    AND ($profile IS NULL OR l.profile = $profile)
ORDER BY l.model_id, l.profile, l.layer_id
