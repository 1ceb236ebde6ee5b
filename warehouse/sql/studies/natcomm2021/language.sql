-- Matrices of published language models, one row a slice: what counts in means, and the embeddings, which some of the
-- paper's averages hold.
SELECT m.name, s.layer_id, s.layer_type, s.alpha, s.log_norm, s.log_spectral_norm, s.alpha_weighted, s.log_alpha_norm
FROM slice_metrics AS s
JOIN models AS m USING (model_id, revision)
WHERE s.profile = 'published/weightwatcher-0.2' AND m.series IN ('GPT', 'GPT2')
    AND (s.counted OR s.layer_type = 'embedding')
ORDER BY m.name, s.layer_id, s.slice_id
