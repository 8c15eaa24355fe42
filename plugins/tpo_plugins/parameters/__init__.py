"""`tpo inspect model`: how many weights a model has, by group, without reading any of them."""
