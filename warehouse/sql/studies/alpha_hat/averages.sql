-- alpha-hat and its relatives by model and profile, over layers that count: mean and sum, the alpha-norm with its
-- exponent (log10 sum lam^alpha) and without (divided by alpha).
SELECT l.model_id, any_value(m.name) AS name, any_value(m.series) AS series, any_value(m.dataset) AS dataset, l.profile,
    count(*) AS num_layers, avg(l.alpha_weighted) AS alpha_hat, sum(l.alpha_weighted) AS alpha_hat_sum,
    avg(l.log_alpha_norm) AS log_alpha_norm, avg(l.log_alpha_norm / l.alpha) AS log_alpha_norm_without_exponent,
    avg(l.log_spectral_norm) AS log_spectral_norm,
    CASE WHEN l.profile LIKE 'published/%' THEN 'layer rows' ELSE 'weights' END AS basis
FROM layer_metrics AS l
JOIN models AS m USING (model_id, revision)
WHERE l.counted
GROUP BY l.model_id, l.profile
ORDER BY l.model_id, l.profile
