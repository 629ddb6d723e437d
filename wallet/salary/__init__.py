"""Salary: a ministry's file, read line by line, approved by a second officer, paid once.

- `findings`  every stable code a file or a line can be answered with, in Khmer and English
- `file`      the CSV itself: pure, streaming, total
- `people`    the lines against the registry and the wallets
- `runs`      receive, approve, recall; what officers may read
- `check`     the job that reads a received file
- `pay`       the job that pays an approved run
"""
