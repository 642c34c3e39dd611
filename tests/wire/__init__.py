"""What is on the wire, to the letter of the contract."""
