-- Averages that others published, one row a model: the plain mean over slices.
SELECT m.name, m.zoo, m.series, m.dataset, a.* EXCLUDE (revision, latest),
    CASE WHEN a.origin LIKE '%.ipynb' THEN 'typed numbers' ELSE 'printed averages' END AS basis
FROM model_averages AS a
JOIN models AS m USING (model_id, revision)
WHERE a.latest AND a.rule = 'mean over slices'
ORDER BY a.model_id, a.profile
