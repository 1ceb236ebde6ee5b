-- comment: Kendall's tau-b of two lists, as scipy.stats.kendalltau; NULL pairs dropped
-- Kendall's tau-b of two lists of equal length, pairs with a NULL dropped; NULL when either is constant.
-- Use with groups: SELECT series, kendall_tau_b(list(alpha), list(value)) ... GROUP BY series.
-- Counts pairs bit by bit of x's rank instead of pair by pair: two points that agree above a bit and differ in it are
-- in the order of that bit, and every pair of different x does so at one bit. n log n rows instead of n * n / 2.
(xs, ys) AS (
    WITH point AS (
        SELECT unnest(xs) AS x, unnest(ys) AS y
    ),
    ranked AS (
        SELECT dense_rank() OVER (ORDER BY x) AS code, y, count(*) OVER (PARTITION BY x) AS tx,
            count(*) OVER (PARTITION BY y) AS ty, count(*) OVER () AS t
        FROM point
        WHERE x IS NOT NULL AND y IS NOT NULL
    ),
    placed AS (
        SELECT code, y, unnest(range(length(bin(t)))) AS bit FROM ranked
    ),
    level AS (
        SELECT bit, (code >> (bit + 1)) AS prefix, y, count_if((code >> bit) % 2 = 0) AS low,
            count_if((code >> bit) % 2 = 1) AS high
        FROM placed
        GROUP BY ALL
    ),
    ordered AS (
        SELECT high * (2 * sum(low) OVER (PARTITION BY bit, prefix ORDER BY y) - low
            - sum(low) OVER (PARTITION BY bit, prefix)) AS s
        FROM level
    )
    SELECT (SELECT sum(s) FROM ordered)::DOUBLE
        / nullif(sqrt((sum(t) - sum(tx))::DOUBLE / 2) * sqrt((sum(t) - sum(ty))::DOUBLE / 2), 0)
    FROM ranked
)
