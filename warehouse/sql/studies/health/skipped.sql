-- What was not analysed of the models that match, because something is wrong with it.
SELECT model_id, tensor, reason, detail FROM skipped WHERE failed AND model_id GLOB $model ORDER BY ALL
