"""ODA: windows and anomalies over live series, exactly once, on Storm."""
