-- What was reported about the models, one number a model, data set and metric: see reported_newest; and the model that
-- each is under another name, if any.
SELECT r.*, d.double_of
FROM reported_newest(not_after := $source_date) AS r
LEFT JOIN doubles AS d USING (model_id)
ORDER BY ALL
