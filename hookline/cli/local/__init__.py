"""All of Hookline on one machine: `hookline up`, its processes, ports and secrets."""
