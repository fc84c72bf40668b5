"""What the system tests share: machines with a real systemd, and caged in them."""
