"""`hookline receive`: a receiver on this machine that answers a hook as it is told."""
