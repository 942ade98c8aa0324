"""The posterior."""
