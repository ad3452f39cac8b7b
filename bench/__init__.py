"""Speed, measured on real Kafka as ratios and growths in one run; `docs/performance.md` says what was found."""
