"""The audit: folds the logs anew, tells every chain's story, and judges every decision. It writes and sends nothing (I12)."""
