"""The course as a static site: what `make book` writes, and how Sphinx shows it."""
