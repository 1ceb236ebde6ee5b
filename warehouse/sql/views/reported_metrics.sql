-- Numbers of the newest catalogue of each model.
SELECT * EXCLUDE (latest) FROM reported_metrics_history WHERE latest
