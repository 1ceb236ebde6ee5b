-- Layers of the models that match, with and without a fit; embeddings and parts of fused matrices do not count.
SELECT l.model_id, m.name, l.profile, l.layer_id, l.longname, l.layer_type, l.N, l.M, l.Q, l.num_evals, l.alpha, l.D,
    l.sigma, l.num_pl_spikes, l.log_norm, l.log_spectral_norm, l.stable_rank, l.outcome, l.status
FROM layer_metrics AS l
JOIN models AS m USING (model_id, revision)
WHERE in_means(l.layer_type) AND l.model_id GLOB $model AND ($profile IS NULL OR l.profile = $profile)
ORDER BY l.model_id, l.profile, l.layer_id
