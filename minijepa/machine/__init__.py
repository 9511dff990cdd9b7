"""What the course asks of the computer it runs on: threads, hardware, consoles, files. `threads` comes before torch."""
