"""What money may do and who may ask: the whole of the wallet, without HTTP, HTML or SMS.

Reading order, each room standing on those before it:

1. money, identifiers, clock, outcomes   the nouns everything else is said in
2. events, khqr                          what is published; the text in a QR code
3. database, vault, migrations           the one way to PostgreSQL; sealed fields; the tables
4. outbox, jobs, audit, throttle         what a transaction leaves behind; Redis gates
5. work                                  one transaction: actor, key, effect, events, commit
6. teller                                concurrent callers served in groups, one Work a group
7. ledger                                accounts, transfers, holds, statements, proof
8. registry, access, seals               people, banks, Smart IDs; devices, codes, intents, staff;
                                         the books under signed roots, and receipts from them
9. cards                                 virtual cards tied to the Smart ID
10. salary, topups, qr                   how money comes and goes
11. disputes                             putting right what went wrong
"""
