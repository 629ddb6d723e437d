"""The double-entry ledger: accounts (chart), writing (book), reading (statement), proof.

An account has four counters; a transfer moves one amount from a debit to a credit account; a
hold is a transfer resolved once by another. Nothing here is ever changed or deleted.
"""
