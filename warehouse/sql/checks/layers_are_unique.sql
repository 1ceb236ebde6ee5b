SELECT model_id, revision, layer_id, count(*) AS rows FROM layers_history GROUP BY ALL HAVING count(*) > 1
