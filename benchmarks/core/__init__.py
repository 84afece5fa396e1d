"""What everything else stands on: errors, progress, files, locks, the machine."""
