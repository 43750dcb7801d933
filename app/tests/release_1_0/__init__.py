"""The session store of the release before this one, as it was: both use one file in a deploy."""
