"""Registration modules, datasets, benchmarks and the embedded tiny world."""
