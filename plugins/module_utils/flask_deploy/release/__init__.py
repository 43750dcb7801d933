"""What a release is made of, how it is written and started, and what is known of it."""
