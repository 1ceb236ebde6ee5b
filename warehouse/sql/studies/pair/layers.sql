-- Layers with a fit of the models that match, or of every model; parts of fused matrices too, which have a role but do
-- not count, and no embeddings.
SELECT l.model_id, l.profile, l.layer_id, l.longname, l.layer_type, l."group", l.alpha, l.counted
FROM layer_metrics AS l
WHERE l.layer_type IS DISTINCT FROM 'embedding' AND l.outcome = 'fit'
    AND ($model IS NULL OR l.model_id GLOB $model OR ($other IS NOT NULL AND l.model_id GLOB $other))
ORDER BY l.model_id, l.profile, l.layer_id
