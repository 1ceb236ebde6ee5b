SELECT model_id, revision, count(*) AS rows FROM models GROUP BY ALL HAVING count(*) > 1
