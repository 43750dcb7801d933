"""What keeps the certificates of apps good, on hosts and on balancers."""
