-- comment: One row per slice and profile, for every revision of a model
-- columns: slice_metrics, layers
-- A slice without a fit counts too: its norms do, where the profile computes them.
SELECT * EXCLUDE (latest), in_means(layer_type, left_out := left_out, degenerate_tail := degenerate_tail) AS counted, latest
FROM measured('raw_slice_metrics')
ORDER BY model_id, revision, layer_id, profile, unfold, slice_id
