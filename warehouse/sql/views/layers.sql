-- comment: One row per layer of the latest revision of a model
-- Layers of the latest revision of each model.
SELECT * EXCLUDE (latest) FROM layers_history WHERE latest
