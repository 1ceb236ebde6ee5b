-- comment: One row per layer of every revision of a model
-- Layers of every revision; the newest part of a revision stands for the whole of it.
SELECT l.* EXCLUDE (written, filename), m.latest
FROM raw_layers AS l
JOIN models AS m USING (model_id, revision)
QUALIFY rank() OVER (PARTITION BY model_id, revision ORDER BY l.written DESC, l.filename) = 1
ORDER BY model_id, revision, layer_id
