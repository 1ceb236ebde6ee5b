"""Named studies: rows of design tables in, cells of the papers' tables out; pure. One study a file."""
