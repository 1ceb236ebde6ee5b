-- comment: One row per model and profile: means and medians over the layers of the latest revision, see rule
-- columns: models, layer_metrics, model_averages
-- Plain means over layers, as the papers average; embeddings, failed fits and what the profile leaves out do not count.
-- A model of which only published averages are known has those, and its rule says so. The share of warned layers is
-- over all that the types of layers admit.
WITH computed AS (
    SELECT m.model_id, m.revision, m.zoo, m.series, m.dataset, m.task, m.params, l.profile,
        count(*) FILTER (WHERE l.counted) AS num_layers,
        count(*) FILTER (WHERE l.layer_type = 'embedding') AS num_embeddings,
        count(*) FILTER (WHERE in_means(l.layer_type, left_out := l.left_out) AND l.outcome <> 'fit') AS num_failed,
        count(*) FILTER (WHERE in_means(l.layer_type) AND l.outcome = 'fit' AND NOT l.counted) AS num_left_out,
        avg(l.degenerate_tail::INT) FILTER (WHERE in_means(l.layer_type, left_out := l.left_out)) AS share_warned,
        {means of layer_metrics_history},
        'mean over layers with a fit, each once; no embeddings, no parts of fused matrices'
            || coalesce('; left out: ' || CASE max(l.left_out) WHEN '' THEN 'nothing else' ELSE max(l.left_out) END, '') AS rule
    FROM layer_metrics AS l
    JOIN models AS m USING (model_id, revision)
    GROUP BY ALL
),
known AS (
    SELECT DISTINCT model_id, revision, profile FROM layer_metrics
)
SELECT * FROM computed
UNION ALL BY NAME
SELECT m.model_id, m.revision, m.zoo, m.series, m.dataset, m.task, m.params, a.profile, {numbers of model_averages},
    a.rule || ', as published: ' || coalesce(a.origin, 'origin unknown') AS rule
FROM model_averages AS a
JOIN models AS m USING (model_id, revision)
ANTI JOIN known AS k ON k.model_id = a.model_id AND k.revision = a.revision AND k.profile = a.profile
WHERE a.latest AND a.rule = 'mean over slices'
