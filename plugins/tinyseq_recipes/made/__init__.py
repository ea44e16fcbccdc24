"""Made-up data, so that every recipe runs without a file; small worlds in which order matters."""
