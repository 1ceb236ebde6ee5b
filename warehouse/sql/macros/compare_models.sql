-- comment: Table: two models layer by layer, with changes
-- Two models layer by layer, matched by name; a layer that only one of them has stands with NULLs. change is b minus a.
(model_a, model_b, profile_name := 'weightwatcher') AS TABLE
WITH a AS (
    SELECT * FROM layer_metrics WHERE model_id = model_a AND profile = profile_name
),
b AS (
    SELECT * FROM layer_metrics WHERE model_id = model_b AND profile = profile_name
)
SELECT coalesce(a.longname, b.longname) AS longname, a.alpha AS alpha_a, b.alpha AS alpha_b,
    b.alpha - a.alpha AS alpha_change, a.log_norm AS log_norm_a, b.log_norm AS log_norm_b,
    b.log_norm - a.log_norm AS log_norm_change, a.log_spectral_norm AS log_spectral_norm_a,
    b.log_spectral_norm AS log_spectral_norm_b,
    b.log_spectral_norm - a.log_spectral_norm AS log_spectral_norm_change,
    a.content_hash = b.content_hash AS same_bytes
FROM a
FULL JOIN b ON a.longname = b.longname
ORDER BY coalesce(a.layer_id, b.layer_id), longname
