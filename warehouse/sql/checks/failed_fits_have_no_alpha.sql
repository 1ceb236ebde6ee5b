SELECT model_id, revision, layer_id, profile, status, alpha
FROM layer_metrics_history
WHERE status <> 'success' AND alpha IS NOT NULL
