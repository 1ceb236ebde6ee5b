-- Plain means over layers, as the papers average; embeddings and failed fits do not count.
SELECT m.model_id, m.revision, m.zoo, m.series, m.dataset, m.task, m.params, l.profile,
    count(*) FILTER (WHERE {counted}) AS num_layers,
    count(*) FILTER (WHERE l.layer_type = 'embedding') AS num_embeddings,
    count(*) FILTER (WHERE l.layer_type <> 'embedding' AND NOT {counted}) AS num_failed,
    {means},
    'mean over layers with status success and a layer_type other than embedding, each layer once' AS rule
FROM layer_metrics AS l
JOIN models AS m USING (model_id, revision)
GROUP BY ALL
ORDER BY m.model_id, l.profile
