"""What keeps Apps in sync over time: the controller."""
