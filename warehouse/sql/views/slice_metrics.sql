-- comment: One row per slice and profile, for the latest revision of a model
-- columns: slice_metrics, layers
-- Metrics of the slices of the latest revision of each model, for profiles that work per slice.
SELECT * EXCLUDE (latest) FROM slice_metrics_history WHERE latest
