"""What the integration tests share: where things are, real users, a real daemon, raw Varlink."""
