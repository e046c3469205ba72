"""The trainer: makes the features of a corpus, and rebuilds what the program ships."""
