"""MLPerf's scenarios: queries that come in a stated way, and how fast a model answers them."""
