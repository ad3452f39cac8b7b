"""The console's HTTP API: Docker Hub's `webhook_pipeline`, and our own beyond it (design section 6)."""
