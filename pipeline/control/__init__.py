"""What keeps an App in sync over time."""
