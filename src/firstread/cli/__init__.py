"""The command line: one thin verb a file, heavy imports inside the verb."""
