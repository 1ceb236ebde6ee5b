-- comment: Table: a reported metric regressed on any average, by data set and any column of models, with reasons for gaps
-- Least squares reported = intercept + slope * metric by data set and any column of models, and for all models of a data
-- set together ('(all)'). Numbers of two data sets never meet. Of several sources reported_newest chooses; a model that
-- is there under two names counts once in each line (doubles). Numbers that do not exist are NULL, and reason says why.
(
    metric_name, reported_name, grouping_name := 'series', profile_name := 'weightwatcher', smallest := 4,
    dataset_name := NULL, not_after := NULL
) AS TABLE
WITH x AS (
    SELECT model_id, COLUMNS(lambda c: c = metric_name)::DOUBLE AS x FROM model_metrics WHERE profile = profile_name
),
y AS (
    SELECT model_id, coalesce(dataset, '(none)') AS d, value AS y
    FROM reported_newest(not_after := not_after)
    WHERE metric = reported_name AND (dataset_name IS NULL OR dataset = dataset_name)
),
named AS (
    SELECT model_id, unnest([coalesce(COLUMNS(lambda c: c = grouping_name)::VARCHAR, '(none)'), '(all)']) AS g
    FROM models
    WHERE latest
),
point AS (
    SELECT d, g, x, y
    FROM x
    JOIN y USING (model_id)
    JOIN named USING (model_id)
    LEFT JOIN doubles USING (model_id)
    WHERE x IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY d, g, coalesce(double_of, model_id) ORDER BY model_id) = 1
),
ranked AS (
    SELECT d, g, dense_rank() OVER (PARTITION BY d, g ORDER BY x) AS code, y, count(*) OVER (PARTITION BY d, g, x) AS tx,
        count(*) OVER (PARTITION BY d, g, y) AS ty, count(*) OVER (PARTITION BY d, g) AS t
    FROM point
),
placed AS (
    SELECT d, g, code, y, unnest(range(length(bin(t)))) AS bit FROM ranked
),
level AS (
    -- As in kendall_tau_b: pairs counted bit by bit of x's rank.
    SELECT d, g, bit, (code >> (bit + 1)) AS prefix, y, count_if((code >> bit) % 2 = 0) AS low,
        count_if((code >> bit) % 2 = 1) AS high
    FROM placed
    GROUP BY ALL
),
ordered AS (
    SELECT d, g, high * (2 * sum(low) OVER (PARTITION BY d, g, bit, prefix ORDER BY y) - low
        - sum(low) OVER (PARTITION BY d, g, bit, prefix)) AS s
    FROM level
),
counted AS (
    SELECT d, g, sum(s)::DOUBLE AS s FROM ordered GROUP BY d, g
),
tied AS (
    SELECT d, g, sqrt((sum(t) - sum(tx))::DOUBLE / 2) * sqrt((sum(t) - sum(ty))::DOUBLE / 2) AS pairs FROM ranked GROUP BY d, g
),
line AS (
    SELECT d, g, count(*) AS n, regr_slope(y, x) AS slope, regr_intercept(y, x) AS intercept, regr_r2(y, x) AS r2,
        sqrt(greatest(var_pop(y) - regr_slope(y, x) * covar_pop(x, y), 0)) AS rmse,
        max(x) - min(x) <= 1e-13 * max(abs(x)) AS flat_x, max(y) - min(y) <= 1e-13 * max(abs(y)) AS flat_y
    FROM point
    GROUP BY d, g
),
why AS (
    SELECT line.*, counted.s / tied.pairs AS tau,
        CASE WHEN n < smallest THEN n || ' models, at least ' || smallest || ' are needed'
            WHEN flat_x THEN metric_name || ' is constant' WHEN flat_y THEN reported_name || ' is constant' END AS reason
    FROM line
    LEFT JOIN counted USING (d, g)
    LEFT JOIN tied USING (d, g)
)
SELECT d AS dataset, g AS "group", n::BIGINT AS n, CASE WHEN reason IS NULL THEN slope END AS slope,
    CASE WHEN reason IS NULL THEN intercept END AS intercept, CASE WHEN reason IS NULL THEN r2 END AS r2,
    CASE WHEN reason IS NULL THEN rmse END AS rmse,
    CASE WHEN reason IS NULL THEN tau END AS kendall_tau, reason
FROM why
ORDER BY d, g = '(all)', g
