"""The steps from each form of the ledger to the next, which `ledger_upgrade` takes in place.

A further step is a file here that names the one before it as its `down_revision`, the tables in `ledger_tables` as they
are afterwards, and its revision as `REVISION` there. A step reads and writes by names of its own, never by the tables
of `ledger_tables`, which go on changing; and it is not changed once a ledger may have taken it.
"""
