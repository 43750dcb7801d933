"""Of a database that there is not."""
