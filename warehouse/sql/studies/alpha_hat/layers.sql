-- Layers that count: both sides of the equation alpha-hat = log alpha-norm, and the size that bounds their gap.
SELECT l.model_id, l.longname, l.profile, l.alpha, l.alpha_weighted, l.log_alpha_norm, l.num_evals
FROM layer_metrics AS l
WHERE l.counted AND l.alpha_weighted IS NOT NULL AND l.log_alpha_norm IS NOT NULL
ORDER BY l.model_id, l.profile, l.layer_id
