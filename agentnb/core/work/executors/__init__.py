"""Executors: where attempts run, while claims, leases and outcomes stay with the worker.

The worker claims a unit, sends a `record.Record` to its executor, and keeps lease and outcome
(`near.Elsewhere`). An executor is any `concurrent.futures.Executor`; one that can do more is an
`engine.AttemptExecutor`. On the far side `far.run`

1. refuses a record of another server, database, prefix or version of agentnb (`far.check` asks
   all that without an attempt, before the worker claims anything);
2. begins the attempt with `WorkStore.begin`, which succeeds once for an entry: an executor that
   runs a call again by itself runs no attempt twice. An executor that is exact, such as our
   processes, runs none again and knows which attempts have begun: there the store hears of it
   with the first sign of life, and of most attempts not at all;
3. calls `WorkStore.touch` at least every third of the lease. Its answer carries what the worker
   has to say: a cancelled attempt, and one that timed out or was given to another worker;
4. returns a `record.Reply`: the outcome, which the worker stores behind the fence.

The worker hears from `WorkStore.renew` how its attempts are (`store.Pulse`). One that was not
begun within the start limit is released; one that is silent for longer than its lease is over,
counts, and runs again, whatever becomes of its future.

A service takes part with a method ``_far_side(record)``, which returns a `far.FarSide`, and with
the methods of its store: ``begin``, ``touch`` and ``pulse``, and ``unpack`` where its claims carry
their units.
"""
