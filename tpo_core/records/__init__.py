"""Records: the one JSONL format every dataset is read into."""
