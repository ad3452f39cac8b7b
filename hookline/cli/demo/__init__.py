"""`hookline demo`: a chain from push to History on a system of its own."""
