"""A service that watches prices: jobs refresh them, agents report on them.

In the folder above this one, with `PRICES_URL`, `DATABASE_URL` and `REDIS_URL` in the environment:

    agentnb worker --agents --app service.jobs --app service.report
    uvicorn service.web:app
    python -m service.app EURUSD GBPUSD
    python -m service.app approve ID
    agentnb serve
    python -m service.watch
"""
