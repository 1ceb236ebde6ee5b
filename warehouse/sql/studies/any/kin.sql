-- Family of every model that the newest run of kin knows; none where it was never kept.
SELECT model_id, family
FROM families
ORDER BY model_id
