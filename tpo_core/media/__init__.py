"""Decode pictures and videos into frames with times."""
