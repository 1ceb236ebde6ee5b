-- Layers of the latest revision of each model.
SELECT * EXCLUDE (latest) FROM layers_history WHERE latest
