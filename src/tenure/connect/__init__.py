"""The ways in: files of every common kind, exchange rates, other systems. Fulfils what lower layers declare."""
