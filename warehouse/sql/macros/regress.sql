-- comment: Table: a reported metric regressed on any average, by data set and any column of models, with reasons for gaps
-- Least squares reported = intercept + slope * metric by data set and any column of models, and for all models of a data
-- set together ('(all)'). Numbers of two data sets never meet. Of several sources reported_newest chooses; a model that
-- is there under two names counts once in each line (doubles). Numbers that do not exist are NULL, and reason says why;
-- data sets that nobody named make a line only where dataset_name asks for '(none)' or 'unknown'. The interval (95 %) and
-- p of the slope are Student's t of n - 2, for independent models of equal variance; p_adjusted is p after Benjamini and
-- Hochberg over all lines of the answer. Normality of residuals: the tables of the studies.
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
    WHERE metric = reported_name AND (dataset_name IS NULL OR coalesce(dataset, '(none)') = dataset_name)
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
        sqrt(greatest(var_pop(y) - regr_slope(y, x) * covar_pop(x, y), 0)) AS rmse, count(*) - 2 AS v,
        sqrt(greatest(var_pop(y) - regr_slope(y, x) * covar_pop(x, y), 0) / nullif(count(*) - 2, 0) / nullif(var_pop(x), 0)) AS se,
        max(x) - min(x) <= 1e-13 * max(abs(x)) AS flat_x, max(y) - min(y) <= 1e-13 * max(abs(y)) AS flat_y
    FROM point
    GROUP BY d, g
),
why AS (
    SELECT line.*, counted.s / tied.pairs AS tau,
        CASE WHEN dataset_name IS NULL AND d IN ('(none)', 'unknown')
            THEN 'its data set is not known, and there may be several: dataset_name asks for it'
            WHEN n < smallest THEN n || ' models, at least ' || smallest || ' are needed'
            WHEN flat_x THEN metric_name || ' is constant' WHEN flat_y THEN reported_name || ' is constant' END AS reason
    FROM line
    LEFT JOIN counted USING (d, g)
    LEFT JOIN tied USING (d, g)
),
told AS (
    SELECT *, abs(slope) / nullif(se, 0) AS t
    FROM why
    WHERE reason IS NULL
),
tested AS (
    -- Chance of |t| or more with v degrees of freedom: the sum over angles of Abramowitz and Stegun 26.7.3 and 26.7.4, for
    -- large t what is left of its series. Quantiles of 0.975 from v = 41 on by the expansion 26.7.5 in 1 / v.
    SELECT d, g,
        CASE WHEN v < 1 THEN NULL WHEN se = 0 THEN 0.0 WHEN t < 3
            THEN 1 - (v % 2) * 2 / pi() * atan(t / sqrt(v)) - t / sqrt(v + t * t) * coalesce(list_sum(list_transform(
                range(v % 2, v - 1, 2), lambda e: exp(lgamma((e + 1) / 2) - lgamma(e / 2 + 1) - e / 2 * ln(1 + t * t / v))
            )) / sqrt(pi()), 0)
            ELSE t / sqrt(v + t * t) / sqrt(pi()) * list_sum(list_transform(
                range(v, v + 2 * ceil(40 / ln(1 + t * t / v))::BIGINT + 2, 2),
                lambda e: exp(lgamma((e + 1) / 2) - lgamma(e / 2 + 1) - e / 2 * ln(1 + t * t / v))
            )) END AS p,
        se * coalesce([
            12.7062047362, 4.3026527297, 3.1824463053, 2.7764451052, 2.5705818356, 2.4469118511, 2.3646242516, 2.3060041352,
            2.2621571628, 2.228138852, 2.2009851601, 2.1788128297, 2.1603686565, 2.1447866879, 2.1314495456, 2.1199052992,
            2.1098155778, 2.1009220402, 2.0930240544, 2.0859634473, 2.0796138447, 2.0738730679, 2.0686576104, 2.0638985616,
            2.0595385528, 2.0555294386, 2.0518305165, 2.0484071418, 2.0452296421, 2.0422724563, 2.0395134464, 2.0369333435,
            2.0345152974, 2.0322445093, 2.0301079283, 2.028094001, 2.026192463, 2.0243941639, 2.02269092, 2.0210753903
        ][v], 1.959963984540 + 2.372271230299 / v + 2.822498615740 / v ** 2
            + 2.555849679508 / v ** 3 + 1.589534053394 / v ** 4) AS half
    FROM told
),
adjusted AS (
    SELECT *, min(least(1, p * lines / place)) OVER (ORDER BY place DESC) AS p_adjusted
    FROM (SELECT *, rank() OVER (ORDER BY p) + count(*) OVER (PARTITION BY p) - 1 AS place, count(*) OVER () AS lines
        FROM tested WHERE p IS NOT NULL)
)
SELECT d AS dataset, g AS "group", n::BIGINT AS n, CASE WHEN reason IS NULL THEN slope END AS slope,
    CASE WHEN reason IS NULL THEN intercept END AS intercept, CASE WHEN reason IS NULL THEN r2 END AS r2,
    CASE WHEN reason IS NULL THEN rmse END AS rmse,
    CASE WHEN reason IS NULL THEN tau END AS kendall_tau, slope - half AS slope_low, slope + half AS slope_high,
    p AS slope_p, p_adjusted AS slope_p_adjusted, reason
FROM why
LEFT JOIN adjusted USING (d, g)
ORDER BY d, g = '(all)', g
