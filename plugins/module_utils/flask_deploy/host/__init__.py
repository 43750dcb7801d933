"""The machine: files, locks and commands, the engine, nginx, systemd."""
