"""A real daemon and a sandbox, killed and broken at random under a stream of drops; what came of each is counted."""
