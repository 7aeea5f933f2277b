"""How a long-running Trimtab is watched: its log, metrics, Events and the server for probes. Decides nothing."""
