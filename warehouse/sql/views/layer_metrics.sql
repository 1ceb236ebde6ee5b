-- comment: One row per layer and profile, for the latest revision of a model
-- columns: layer_metrics, layers
-- Metrics of the layers of the latest revision of each model.
SELECT * EXCLUDE (latest) FROM layer_metrics_history WHERE latest
