-- comment: One row per layer and profile, for every revision of a model
-- columns: layer_metrics, layers
SELECT * EXCLUDE (latest), outcome = 'fit' AND in_means(layer_type, left_out := left_out, degenerate_tail := degenerate_tail) AS counted, latest
FROM measured('raw_layer_metrics')
ORDER BY model_id, revision, layer_id, profile, unfold
