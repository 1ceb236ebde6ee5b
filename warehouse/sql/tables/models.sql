-- comment: One row per model revision; latest marks the one that the plain tables show
-- One row per model revision. Its words are those of the newest catalog that lists it; the newest revision is `latest`.
-- Revisions that only parts of layers know are kept, without catalog columns.
WITH listed AS (
    SELECT m.*, s.first_seen, s.last_seen
    FROM raw_models AS m
    JOIN snapshots AS s USING (snapshot)
),
span AS (
    SELECT model_id, revision, min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM listed
    GROUP BY ALL
),
newest AS (
    SELECT * EXCLUDE (filename, first_seen, last_seen)
    FROM listed
    QUALIFY row_number()
        OVER (PARTITION BY model_id, revision ORDER BY last_seen DESC, written DESC, snapshot DESC, filename) = 1
),
listing AS (
    SELECT model_id, revision, tensor, params, written
    FROM raw_layers
    QUALIFY rank() OVER (PARTITION BY model_id, revision ORDER BY written DESC, filename) = 1
),
tensors AS (
    -- A tensor split into several layers (fused q, k, v) counts once.
    SELECT model_id, revision, tensor, max(params) AS params, max(written) AS written
    FROM listing
    GROUP BY ALL
),
sizes AS (
    SELECT model_id, revision, sum(params)::BIGINT AS params, max(written) AS measured
    FROM tensors
    GROUP BY ALL
)
SELECT * EXCLUDE (newest.written, sizes.measured),
    row_number() OVER (
        PARTITION BY model_id
        ORDER BY last_seen DESC NULLS LAST, first_seen DESC NULLS LAST, coalesce(newest.written, sizes.measured) DESC,
            revision DESC
    ) = 1 AS latest
FROM newest
LEFT JOIN span USING (model_id, revision)
FULL JOIN sizes USING (model_id, revision)
ORDER BY model_id, first_seen, revision
