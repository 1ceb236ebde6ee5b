-- Layers of every model, with and without a fit, and what says how they compare with noise of their size; embeddings and
-- parts of fused matrices do not count. A profile without shuffled copies has no max_rand_eval.
SELECT l.model_id, m.name, m.series, l.longname, l.layer_type, l.N, l.M, l.rf, l.layer_id, l.profile, l.num_evals,
    l.alpha, l.D, l.num_pl_spikes, l.log_norm, l.log_spectral_norm, l.stable_rank, l.outcome, l.status,
    TRY_CAST(to_json(l) ->> '$.max_rand_eval' AS DOUBLE) AS max_rand_eval,
    l.profile IN (SELECT profile FROM slice_metrics) AS by_slice
FROM layer_metrics AS l
JOIN models AS m USING (model_id, revision)
WHERE in_means(l.layer_type, left_out := l.left_out)
ORDER BY l.model_id, l.profile, l.layer_id
