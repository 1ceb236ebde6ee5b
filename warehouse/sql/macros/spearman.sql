-- comment: Spearman's rank correlation of two lists, as scipy.stats.spearmanr; NULL pairs dropped
-- Spearman's rank correlation of two lists of equal length, pairs with a NULL dropped; NULL when either is constant.
(xs, ys) AS (
    WITH point AS (
        SELECT unnest(xs) AS x, unnest(ys) AS y
    ),
    ranked AS (
        -- Average ranks of ties, plus a half: the first rank of the tie and half of its length.
        SELECT rank() OVER (ORDER BY x) + count(*) OVER (PARTITION BY x) / 2.0 AS rx,
            rank() OVER (ORDER BY y) + count(*) OVER (PARTITION BY y) / 2.0 AS ry
        FROM point
        WHERE x IS NOT NULL AND y IS NOT NULL
    )
    SELECT CASE WHEN isfinite(corr(rx, ry)) THEN corr(rx, ry) END FROM ranked
)
