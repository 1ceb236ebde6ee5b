-- comment: One row per state of a zoo's catalog
-- columns: models, runs
-- One row per state of a catalog, with the runs that saw it. A run that was killed before it could record itself
-- still left its catalog: then the time the part was written stands for the run.
WITH parts AS (
    SELECT snapshot, min(zoo) AS zoo, count(DISTINCT model_id) AS models, min(written) AS first_written,
        max(written) AS last_written
    FROM raw_models
    GROUP BY snapshot
),
seen AS (
    SELECT snapshot, min(started) AS first_seen, max(coalesce(finished, started)) AS last_seen, count(*) AS runs
    FROM runs
    GROUP BY snapshot
)
SELECT snapshot, zoo, models, coalesce(runs, 0) AS runs, coalesce(first_seen, first_written) AS first_seen,
    coalesce(last_seen, last_written) AS last_seen
FROM parts
LEFT JOIN seen USING (snapshot)
ORDER BY last_seen, snapshot
