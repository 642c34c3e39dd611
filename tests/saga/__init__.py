"""The pure core: what it decides, told in its own words."""
