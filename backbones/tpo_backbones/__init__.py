"""Backbone adapters: one module a family, one generic adapter for the rest."""
