"""How clients get to the brokers, and what they say when they don't."""
