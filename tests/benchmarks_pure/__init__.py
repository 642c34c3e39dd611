"""What the benchmark computes, apart from what it measures."""
