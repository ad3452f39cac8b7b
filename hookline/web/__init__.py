"""The aiohttp shell around a service: public and admin HTTP, errors, metrics, logging, graceful stop."""
