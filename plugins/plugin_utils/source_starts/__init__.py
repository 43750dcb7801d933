"""What a repository starts its app with, and what that takes: it is read, and never run."""
