-- What was reported about the models, one number a model, data set and metric: see reported_newest.
SELECT * FROM reported_newest(not_after := $source_date)
ORDER BY ALL
