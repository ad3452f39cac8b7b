"""The command line `hookline`."""
