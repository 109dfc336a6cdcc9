"""The ledger's history run through a candidate policy: whom it would have refused, when, and what that would have saved."""
