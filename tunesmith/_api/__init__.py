"""The Python API, one module for each half of the work; `tunesmith` has all of it."""
