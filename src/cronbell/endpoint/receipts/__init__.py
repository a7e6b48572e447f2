"""Receipts as a Django app: in the application's database, in the effect's own transaction."""
