"""The metrics of a process in Prometheus' format, and the probes of an orchestrator.

`address` reads where they are offered, `depths` asks the queues and the database, `collector`
turns the counts into metrics, `server` offers them over HTTP. The extra ``metrics`` has
prometheus-client.
"""
