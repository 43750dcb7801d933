"""What an inventory may say: each role's values in a module of its own, shared parts beside them."""
