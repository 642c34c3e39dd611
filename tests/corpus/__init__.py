"""The recorded corpus: the records for known inputs. A change to the wire changes it, and so can't go unnoticed."""
