"""Task heads: region, temporal, mask."""
