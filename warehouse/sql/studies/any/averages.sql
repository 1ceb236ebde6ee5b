-- Averages computed from the rows of this warehouse, one row a model and profile: over slices where the profile works
-- per slice, else over layers, else as published; `basis` says from what. Models without any layer behind the mean are
-- left out.
WITH slices AS (
    SELECT m.name, s.* FROM model_slice_metrics AS s JOIN models AS m USING (model_id, revision) WHERE s.num_fits > 0
)
SELECT *, CASE WHEN profile LIKE 'published/%' THEN 'layer rows' ELSE 'weights' END AS basis FROM slices
UNION ALL BY NAME
SELECT m.name, l.*,
    CASE WHEN l.rule LIKE '%as published%' THEN 'printed averages' WHEN l.profile LIKE 'published/%' THEN 'layer rows'
        ELSE 'weights' END AS basis
FROM model_metrics AS l
JOIN models AS m USING (model_id, revision)
ANTI JOIN slices AS s USING (model_id, profile)
WHERE l.num_layers IS DISTINCT FROM 0
ORDER BY model_id, profile
