"""The tests that run inside the virtual environment of one release of the stock client."""
