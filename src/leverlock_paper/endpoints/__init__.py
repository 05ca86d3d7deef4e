"""What each path answers: one function per endpoint, each taking a `Call` and returning the JSON document."""
