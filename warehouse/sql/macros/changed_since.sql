-- comment: Table: models that are new, retrained or gone since a run
-- What changed in the catalogs since a run began: models that are new, retrained (another revision), or gone.
(since_run) AS TABLE
WITH run AS (
    SELECT min(started) AS t FROM runs WHERE run_id = since_run
),
seen AS (
    SELECT zoo, max(last_seen) AS zoo_seen FROM models GROUP BY zoo
),
state AS (
    SELECT m.model_id, m.revision, m.first_seen, m.last_seen, s.zoo_seen, m.last_seen < s.zoo_seen AS gone,
        count(*) OVER (PARTITION BY m.model_id) AS revisions, m.latest
    FROM models AS m
    JOIN seen AS s USING (zoo)
)
SELECT model_id, revision,
    CASE WHEN gone THEN 'gone' WHEN revisions > 1 THEN 'retrained' ELSE 'new' END AS change,
    first_seen, last_seen
FROM state, run
WHERE latest AND (first_seen > run.t OR (gone AND zoo_seen > run.t))
ORDER BY change, model_id
