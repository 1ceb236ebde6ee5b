-- Metrics of the layers of the latest revision of each model.
SELECT * EXCLUDE (latest) FROM layer_metrics_history WHERE latest
