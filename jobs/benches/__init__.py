"""What `zoospectra bench` measures: one suite a file, each a function from settings to rows."""
