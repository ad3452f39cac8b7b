"""The console's read model: the four logs projected into a database, and what is read from it."""
