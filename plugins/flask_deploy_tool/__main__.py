"""Runs the command from a checkout: PYTHONPATH=plugins python -m flask_deploy_tool."""

from .command import main

main()
