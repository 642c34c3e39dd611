"""What people do about sagas: have a stuck one tried again, skipped or rolled back, and see which are stuck."""
