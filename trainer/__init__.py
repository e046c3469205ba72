"""The trainer: rebuilds what the program ships."""
