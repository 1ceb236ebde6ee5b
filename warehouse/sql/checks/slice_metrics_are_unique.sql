SELECT model_id, revision, layer_id, slice_id, unfold, profile, count(*) AS rows
FROM slice_metrics_history
GROUP BY ALL
HAVING count(*) > 1
