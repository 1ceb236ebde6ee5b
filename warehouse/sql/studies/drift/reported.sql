-- Reported numbers that changed between snapshots of a catalog, oldest first.
SELECT h.model_id, h.dataset, h.metric, h.value, h.higher_is_better, h.source, h.source_date, s.first_seen
FROM reported_metrics_history AS h
JOIN snapshots AS s USING (snapshot)
QUALIFY count(DISTINCT h.value) OVER (PARTITION BY h.model_id, h.dataset, h.metric, h.source, h.source_date) > 1
ORDER BY h.model_id, h.dataset, h.metric, h.source, h.source_date, s.first_seen, h.value
