"""Keep an app's certificate good: on the host twice a day, in the inventory check before any change."""
