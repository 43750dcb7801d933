"""How a release goes live: who may deploy, the steps, the switch, its watch, and what becomes of the one before."""
