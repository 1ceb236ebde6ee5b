-- comment: Metrics of every layer that holds the analysed bytes, of whichever model and part they came from
-- Of several results for the same content, unfold rule and profile the newest counts, whole: nothing is mixed from two
-- code versions. Parts of older versions and other tools may lack the outcome: there a layer with an alpha has a fit,
-- and any other failed.
(results) AS TABLE
WITH result AS (
    SELECT *
    FROM query_table(results)
    QUALIFY rank() OVER (
        PARTITION BY content_hash, unfold, profile
        ORDER BY written DESC, code_version DESC, profile_key DESC, filename
    ) = 1
)
SELECT l.model_id, l.revision, l.layer_id, l.longname, l.layer_type, l."group",
    r.* EXCLUDE (filename) REPLACE (
        coalesce(r.outcome, CASE WHEN r.alpha IS NULL THEN 'failed' ELSE 'fit' END) AS outcome
    ),
    l.latest
FROM layers_history AS l
JOIN result AS r USING (content_hash)
