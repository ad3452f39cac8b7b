"""The console's pages: plain HTML behind a login, with the same words as the API (design section 6)."""
