"""What money may do and who may ask: the whole of the wallet, without HTTP, HTML or SMS.

Reading order, each room standing on those before it:

1. money, identifiers, clock, outcomes   the nouns everything else is said in
2. events, khqr                          what is published; the text in a QR code
3. database, vault, migrations           the one way to PostgreSQL; sealed fields; the tables
4. writes, outbox, jobs, audit, repeats, buckets, calls, throttle  what a transaction leaves behind;
                                         Redis gates
5. work                                  one transaction: actor, key, effect, events, commit
6. turns, teller, simulation             who goes first; concurrent callers served in groups, one
                                         Work a group; what a demonstration's processes share
7. ledger, terms                         accounts, transfers, holds, statements, proof; what a
                                         bank sets, sheet by sheet
8. registry, access, limits, fees, seals  people, banks, Smart IDs; devices, codes, intents, staff;
                                         how much, how often, at what cost; the books under signed
                                         roots, and receipts from them
9. exchange, controls, cards             riel and dollars; which purchases cards, holders and banks
                                         allow; virtual cards tied to the Smart ID
10. salary, topups, qr, authorisations   how money comes and goes
11. disputes, proposals, operations      putting right what went wrong; four eyes on the terms, on
                                         shortfalls and on tiers
12. disclosure, erasure, retention       what a bank holds on a person; a person made unreadable;
                                         how long what was needed for a moment is kept
"""
