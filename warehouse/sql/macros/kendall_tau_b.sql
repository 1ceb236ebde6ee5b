-- Kendall's tau-b of two lists of equal length, pairs with a NULL dropped; NULL when either is constant.
-- Use with groups: SELECT series, kendall_tau_b(list(alpha), list(value)) ... GROUP BY series.
(xs, ys) AS (
    WITH point AS (
        SELECT unnest(xs) AS x, unnest(ys) AS y, generate_subscripts(xs, 1) AS i
    ),
    pair AS (
        SELECT sign(a.x - b.x) AS dx, sign(a.y - b.y) AS dy
        FROM point AS a
        JOIN point AS b ON a.i < b.i
        WHERE a.x IS NOT NULL AND a.y IS NOT NULL AND b.x IS NOT NULL AND b.y IS NOT NULL
    )
    SELECT sum(dx * dy) / nullif(sqrt(sum(dx * dx)) * sqrt(sum(dy * dy)), 0) FROM pair
)
