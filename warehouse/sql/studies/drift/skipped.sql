-- What failed in the latest revision of every model.
SELECT model_id, tensor, reason FROM skipped WHERE failed ORDER BY ALL
