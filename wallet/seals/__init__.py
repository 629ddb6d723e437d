"""Sealing: the journal and the audit trail under signed Merkle roots, and receipts from them.

    merkle, leaves, chain, receipt   pure: what is hashed, signed and verified, with no database
    sealing                          one worker follows both logs in commit order and seals batches
    issuing                          a receipt for one entry
    proving                          the rows against what was sealed; the first difference, named
    anchor                           signed headers for outside, and the chain against them

A stranger with the public key needs only the four pure modules to check what they were given.
"""
