"""The ledger: balances, allocation, and what is derived from both."""
