"""What an installation in a cluster consists of: the definition of the App, and the controller with its rights."""
