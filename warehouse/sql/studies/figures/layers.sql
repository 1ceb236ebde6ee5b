-- Layers of every model in the order of depth, for figures: those that count in means, with or without a fit.
SELECT l.model_id, m.name, m.series, m.dataset, l.profile, l.layer_id, l.longname, l.layer_type, l.N, l.M, l.alpha, l.D,
    l.log_norm, l.log_spectral_norm, l.alpha_weighted, l.log_alpha_norm, l.stable_rank
FROM layer_metrics AS l
JOIN models AS m ON m.model_id = l.model_id AND m.latest
WHERE in_means(l.layer_type, l.left_out)
ORDER BY l.model_id, l.profile, l.layer_id
