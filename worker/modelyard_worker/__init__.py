"""Runs one `Deployment` class for the server; the contract is docs/worker-protocol.md."""
