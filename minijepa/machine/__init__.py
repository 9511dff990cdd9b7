"""What the course asks of the computer it runs on: threads, hardware, consoles, files. Nothing here loads torch."""
