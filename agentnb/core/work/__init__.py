"""The execution engine: claims work, renews leases, runs attempts, and finishes them once.

It knows neither queues nor workflows. A `WorkStore` keeps the units of work, a `WorkHandler` runs
them, and a `Worker` drives both.
"""
