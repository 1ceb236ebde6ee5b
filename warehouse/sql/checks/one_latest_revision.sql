SELECT model_id, count_if(latest) AS latest_revisions FROM models GROUP BY ALL HAVING latest_revisions <> 1
