"""The keys that sign an app's tokens, and their rotation."""
