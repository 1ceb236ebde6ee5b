-- comment: Table: what was reported: one number per model, data set and metric, the newest
-- The one rule on several sources of one number: the newest source_date counts, or the newest that is not after a date.
-- Sources without a date are older than all others; of the same date the first source by name counts, then the smaller
-- value. A number whose source names no data set belongs to the model's own.
(not_after := NULL) AS TABLE
SELECT r.model_id, coalesce(r.dataset, m.dataset) AS dataset, r.metric, r.value, r.higher_is_better, r.source,
    r.source_date
FROM reported_metrics AS r
LEFT JOIN models AS m ON m.model_id = r.model_id AND m.latest
WHERE not_after IS NULL OR r.source_date <= not_after
QUALIFY row_number() OVER (
    PARTITION BY r.model_id, coalesce(r.dataset, m.dataset), r.metric
    ORDER BY r.source_date DESC NULLS LAST, r.source, r.value
) = 1
ORDER BY ALL
