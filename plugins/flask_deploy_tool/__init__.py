"""The command flask-deploy: each of its verbs is one call of ansible-playbook, which it prints."""

__version__ = "0.1.0"
