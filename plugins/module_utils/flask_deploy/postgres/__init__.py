"""The PostgreSQL of a host that is flask-deploy's: its files, its databases, and its major versions."""
