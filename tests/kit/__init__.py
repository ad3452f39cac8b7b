"""What the tests share: events, a hand that writes them into a log, waiting, time."""
