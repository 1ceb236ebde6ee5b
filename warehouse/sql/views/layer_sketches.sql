-- comment: One row per layer of the latest revision of a model: its sketch and plain numbers of its values
-- columns: sketches, layers
SELECT l.model_id, l.revision, l.layer_id, l.longname, l.layer_type, l."group", l.N, l.M, l.dtype,
    s.* EXCLUDE (written, code_version)
FROM layers AS l
JOIN sketches AS s USING (content_hash)
