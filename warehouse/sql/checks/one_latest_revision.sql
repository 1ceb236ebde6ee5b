SELECT model_id, count(*) FILTER (WHERE latest) AS latest FROM models GROUP BY ALL HAVING count(*) FILTER (WHERE latest) <> 1
