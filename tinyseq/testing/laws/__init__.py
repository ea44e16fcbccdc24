"""The laws, a module for each family."""
