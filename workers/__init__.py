"""The processes that do the work: the lease engine, its tasks and the providers."""
