"""What the course needs from the computer that it runs on: threads, hardware, consoles, files. It imports no torch."""
