-- comment: Table: layers of models that match a glob, in order of depth
-- Layers of the models whose model_id matches a glob, from the first to the last, with their relative depth 0 to 1.
(model_glob, profile_name := 'weightwatcher') AS TABLE
SELECT model_id, layer_id, percent_rank() OVER (PARTITION BY model_id ORDER BY layer_id) AS depth, longname, layer_type,
    N, M, alpha, D, log_norm, log_spectral_norm, stable_rank, alpha_weighted, status, warning
FROM layer_metrics
WHERE model_id GLOB model_glob AND profile = profile_name
ORDER BY model_id, layer_id
