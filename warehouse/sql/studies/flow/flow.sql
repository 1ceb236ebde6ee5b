-- Correlation flow: alpha against relative depth, one row a model and profile. Embeddings and failed fits do not count.
WITH layer AS (
    SELECT l.model_id, l.profile, l.layer_id, l.alpha,
        percent_rank() OVER (PARTITION BY l.model_id, l.profile ORDER BY l.layer_id) AS depth,
        abs(l.alpha - lag(l.alpha) OVER (PARTITION BY l.model_id, l.profile ORDER BY l.layer_id)) AS step
    FROM layer_metrics AS l
    WHERE l.counted
)
SELECT l.model_id, any_value(m.name) AS name, any_value(m.series) AS series, any_value(m.dataset) AS dataset, l.profile,
    count(*) AS layers, regr_slope(l.alpha, l.depth) AS slope, stddev_pop(l.alpha) AS dispersion,
    median(l.alpha) AS median, mad(l.alpha) AS mad, avg(l.step) AS roughness,
    avg((l.alpha > $largest)::INTEGER) AS outliers, max(l.alpha) AS largest,
    CASE WHEN l.profile LIKE 'published/%' THEN 'layer rows' ELSE 'weights' END AS basis
FROM layer AS l
JOIN models AS m ON m.model_id = l.model_id AND m.latest
GROUP BY l.model_id, l.profile
ORDER BY l.model_id, l.profile
