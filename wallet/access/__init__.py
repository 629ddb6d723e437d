"""Who may ask: phones and their pairing, PINs, sessions, one-time passwords, intents; staff, hosts.

Promise: nothing here is decided outside PostgreSQL; Redis only makes a "no" come faster.
"""
