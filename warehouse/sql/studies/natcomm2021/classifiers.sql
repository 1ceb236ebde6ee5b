-- Sides of the last dense layer of every model: what its architecture, if it is the one it claims, must have.
SELECT m.name, m.zoo, l.layer_id, l.N, l.M
FROM layers AS l
JOIN models AS m USING (model_id, revision)
WHERE l.layer_type = 'dense'
QUALIFY row_number() OVER (PARTITION BY l.model_id ORDER BY l.layer_id DESC) = 1
ORDER BY m.name
