"""What is asked for beside what came: the picture before each check, one module per assignment."""
