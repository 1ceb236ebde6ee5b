SELECT model_id, revision, layer_id, profile, outcome, status, alpha
FROM layer_metrics_history
WHERE outcome NOT IN ('fit', 'failed', 'filtered') OR (outcome = 'fit') <> (alpha IS NOT NULL)
