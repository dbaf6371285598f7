"""Executors: where attempts run, while the ledger stays in Redis or in the database."""
