"""The record of every object that an App owns: what it is (record), where it is kept (store), what lives (live)."""
