-- Everything reported about the models, every dated source.
SELECT model_id, dataset, metric, value, higher_is_better, source, source_date
FROM reported_metrics
ORDER BY ALL
