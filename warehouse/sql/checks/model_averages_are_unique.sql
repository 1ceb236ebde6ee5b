SELECT model_id, revision, profile, rule, count(*) AS rows
FROM model_averages
GROUP BY ALL
HAVING count(*) > 1
