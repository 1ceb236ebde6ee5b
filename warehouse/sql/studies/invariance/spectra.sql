-- Raw spectra of layers by slices, at most $layers of them, in the order of their content: a sample without favourites.
SELECT s.content_hash, s.layer_type, s.N, s.M, list(s.evals ORDER BY s.slice_id) AS evals
FROM layer_spectra AS s
WHERE s.unfold = 'slices' AND in_means(s.layer_type)
    AND (s.model_id, s.layer_id) IN (
        SELECT (arg_min(l.model_id, (l.model_id, l.layer_id)), arg_min(l.layer_id, (l.model_id, l.layer_id)))
        FROM layers AS l
        WHERE l.model_id GLOB $model AND in_means(l.layer_type)
        GROUP BY l.content_hash
        ORDER BY l.content_hash
        LIMIT $layers
    )
GROUP BY s.content_hash, s.layer_type, s.N, s.M
ORDER BY s.content_hash
