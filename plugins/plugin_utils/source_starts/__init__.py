"""What a repository starts its app with: commands, scripts, and the files that hold them. It is read, and never run."""
