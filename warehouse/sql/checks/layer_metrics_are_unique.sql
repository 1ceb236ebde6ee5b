SELECT model_id, revision, layer_id, unfold, profile, count(*) AS rows
FROM layer_metrics_history
GROUP BY ALL
HAVING count(*) > 1
