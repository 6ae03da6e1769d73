"""What an hour costs, who caused a step, what others charge, and the ledger of it all.

Knows nothing of engines, servers or models.
"""
