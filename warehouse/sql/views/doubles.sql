-- comment: One row per model that is another one under a second name: which one, and what tells so
-- columns: models
-- A line through models counts each once. The first by model_id stands for the others. Two models are the same when all
-- layers have the same bytes; of rows that others published, without bytes, when on one data set the mean log_norm agrees
-- to 1e-5 and the mean alpha to 0.01, what float32 and a randomised SVD leave of equal weights. Bytes are the better rule.
WITH bytes AS (
    SELECT l.model_id, list(l.content_hash ORDER BY l.content_hash) AS key
    FROM layers AS l
    GROUP BY l.model_id
),
printed AS (
    SELECT s.model_id, s.dataset, s.profile, s.log_norm, s.alpha FROM model_slice_metrics AS s
    UNION ALL
    SELECT a.model_id, m.dataset, a.profile, a.log_norm, a.alpha
    FROM model_averages AS a
    JOIN models AS m USING (model_id, revision)
    WHERE a.latest AND a.rule = 'mean over slices'
),
pair AS (
    SELECT b.model_id, a.model_id AS double_of, 'all layers have the same bytes' AS rule
    FROM bytes AS a
    JOIN bytes AS b ON a.key = b.key AND a.model_id < b.model_id
    UNION ALL
    SELECT b.model_id, a.model_id, 'published mean log_norm and alpha agree'
    FROM printed AS a
    JOIN printed AS b ON a.profile = b.profile AND a.dataset = b.dataset AND a.model_id < b.model_id
        AND b.log_norm BETWEEN a.log_norm - 1e-5 AND a.log_norm + 1e-5 AND abs(a.alpha - b.alpha) < 0.01
    WHERE a.profile LIKE 'published/%'
)
SELECT model_id, min(double_of) AS double_of, arg_min(rule, (double_of, rule)) AS rule
FROM pair
GROUP BY model_id
ORDER BY model_id
