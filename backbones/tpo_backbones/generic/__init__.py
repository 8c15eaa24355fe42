"""The adapter for any transformers image-text-to-text model, one idea a file."""
