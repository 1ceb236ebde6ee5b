-- comment: One row per model and profile that works per slice: means and medians over slices, see rule
-- columns: models, slice_metrics
-- Plain means over slices, as WeightWatcher 0.2 and the 2021 paper average: a 3x3 convolution counts nine times. Every
-- column is the mean over the slices that have it, so norms of small slices count where the profile computes them.
SELECT m.model_id, m.revision, m.zoo, m.series, m.dataset, m.task, m.params, l.profile,
    count(*) FILTER (WHERE l.counted) AS num_slices,
    count(l.alpha) FILTER (WHERE l.counted) AS num_fits,
    avg(l.degenerate_tail::INT) FILTER (WHERE in_means(l.layer_type, left_out := l.left_out)) AS share_warned,
    {means of slice_metrics_history},
    'mean over slices of layers that are no embeddings and no parts of fused matrices'
        || coalesce('; left out: ' || CASE max(l.left_out) WHEN '' THEN 'nothing else' ELSE max(l.left_out) END, '') AS rule
FROM slice_metrics AS l
JOIN models AS m USING (model_id, revision)
GROUP BY ALL
