-- Profiles that the warehouse has results of.
SELECT DISTINCT profile FROM layer_metrics
ORDER BY profile
