"""A service that watches prices: jobs refresh them, agents report on them.

In the folder above this one, with `PRICES_URL`, `DATABASE_URL` and `REDIS_URL` in the environment:

    agentnb worker prices --agents --app service.jobs --app service.report
    python -m service.app EURUSD GBPUSD
    python -m service.app approve ID
"""
