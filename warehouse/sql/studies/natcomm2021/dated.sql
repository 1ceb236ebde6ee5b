-- Everything reported about the models, every dated source: the paper's tables name theirs.
SELECT model_id, dataset, metric, value, higher_is_better, source, source_date
FROM reported_metrics
ORDER BY ALL
