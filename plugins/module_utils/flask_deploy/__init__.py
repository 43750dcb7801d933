"""What runs on hosts. `switch` uses `release`, `release` and `keys` use `host`; nothing uses another the other way."""
