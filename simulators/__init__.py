"""The outside world as real servers: own books, bad behaviour on request, a clean stop."""
