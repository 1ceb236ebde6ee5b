-- comment: What was reported about a model, in the newest snapshot of its catalog
-- Numbers of the newest catalog of each model.
SELECT * EXCLUDE (latest) FROM reported_metrics_history WHERE latest
