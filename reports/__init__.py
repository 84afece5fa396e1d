"""Tables, charts and pages of a run, from its records on disk alone: nothing here needs torch."""
