"""Values in and out of jobs: declared types, plain JSON, results that cannot be kept."""

from __future__ import annotations

import datetime as dt
import socket

import pytest

from agentnb.core.errors import UnkeptResult, UsageError
from agentnb.core.queue import TaskQueue, processor
from agentnb.core.queue.processing import marked
from tests.core.typed_cases import CASES, IDS, Model, Point


@pytest.fixture
def queues(shared_redis, request):
    made = TaskQueue(shared_redis, prefix=request.node.name[:60])
    yield made
    made.close()


@pytest.fixture
def queue(queues):
    return queues.get_queue("values")


@pytest.mark.parametrize(("kind", "value"), CASES, ids=IDS)
def test_a_result_comes_back_as_the_declared_type(queues, queue, kind, value):
    queue.work(lambda _: value, returns=kind)
    job = queue.add(1, attempts=1)
    assert job.result(10) == value
    elsewhere = TaskQueue(queues._redis, prefix=queues._keys.prefix).get_queue("values")
    assert elsewhere.get(job.id).result(5, type=kind) == value


def test_the_return_annotation_alone_declares_the_type(queue):
    def models(job) -> list[Model]:
        return [Model(x=job.data)]

    queue.work(models)
    job = queue.add(3)
    assert job.result(10) == [Model(x=3)]
    assert queue.get(job.id).seen.fields["result"] == b'[{"x":3,"tags":[]}]'


def test_a_coroutine_s_annotation_and_a_returns_that_goes_before_it_count(queue):
    async def ask(job) -> dict:
        return {"x": job.data}

    queue.work(ask, returns=Model)
    assert queue.add(3).result(10) == Model(x=3)


def test_a_model_without_a_declared_type_is_plain_json_and_is_told_once(queue, caplog):
    queue.work(lambda job: Model(x=job.data))
    jobs = [queue.add(n) for n in range(3)]
    assert [job.result(10) for job in jobs] == [{"x": n, "tags": []} for n in range(3)]
    told = [record for record in caplog.records if "returns=Model" in record.getMessage()]
    assert len(told) == 1
    assert sum("declare returns=" in line for job in jobs for line in job.logs()) == 1
    assert jobs[0].result(type=Model) == Model(x=0)


def test_data_takes_its_documented_form_and_a_schema_reads_it(queue):
    job = queue.add({"when": dt.date(2026, 1, 2), "pair": (1, 2)})
    assert job.data == {"when": "2026-01-02", "pair": [1, 2]}
    queue.add(Point(1, 2))
    got = []
    queue.work(lambda job: got.append(job.data), schema=Point | dict, concurrency=1).drain(10)
    assert {type(one) for one in got} == {Point, dict}


def test_a_list_of_models_is_a_schema(queue):
    queue.work(lambda job: [type(one).__name__ for one in job.data], schema=list[Model])
    assert queue.add([Model(x=1), {"x": 2}]).result(10) == ["Model", "Model"]
    with pytest.raises(UsageError, match="the job's value is not list"):
        queue.add([{"x": "no number"}])


@pytest.mark.parametrize("kind", [socket.socket, list[socket.socket], object | socket.socket])
def test_a_type_that_json_cannot_carry_is_refused_at_registration(queue, kind):
    with pytest.raises(UsageError, match="is not a type that a result can have"):
        queue.process(lambda _: None, returns=kind)
    with pytest.raises(UsageError, match="is not a schema"):
        queue.process(lambda _: None, schema=kind)

    def connect(_) -> socket.socket:
        raise AssertionError

    with pytest.raises(UsageError, match="is not a type that a result can have"):
        queue.process(connect)
    assert queue.current is None


def test_a_result_that_cannot_be_kept_completes_the_job_and_is_described(queue):
    calls = []

    class Line:
        def __repr__(self):
            return "<Line password=hunter22 " + "x" * 2000

    def call(_):
        calls.append(1)
        return Line()

    queue.work(call)
    job = queue.add(1, attempts=3, backoff=0)
    with pytest.raises(UnkeptResult, match="is done, and its result was not kept") as caught:
        job.result(10)
    assert "job.retry()" in caught.value.hint
    assert calls == [1]
    assert job.state == "completed"
    assert job.unkept.type == "Line"
    assert len(job.unkept.repr) == 1000
    assert "hunter22" not in str(job.unkept)
    with pytest.raises(UnkeptResult):
        job.result(type=Model)
    queue.work(lambda _: "kept")
    job.retry()
    assert job.result(10) == "kept"
    assert job.unkept is None


def test_a_result_that_is_not_finite_or_too_large_is_not_kept(make_queue_of):
    queue = make_queue_of(limit=100)
    queue.work(lambda job: "x" * 1500 if job.data else {"loss": float("nan")})
    with pytest.raises(UnkeptResult, match=r"value\['loss'\] is nan"):
        queue.add(0).result(10)
    assert queue.add(1).result(10) == "x" * 1500  # 16 times the limit of data
    queue.work(lambda _: "x" * 1600)
    with pytest.raises(UnkeptResult, match="1,602 bytes; 1,600 are allowed"):
        queue.add(1).result(10)


@pytest.fixture
def make_queue_of(shared_redis, request):
    made = []

    def make(**options):
        made.append(TaskQueue(shared_redis, prefix=request.node.name[:60], **options))
        return made[-1].get_queue("values")

    yield make
    for one in made:
        one.close()


def test_a_value_that_does_not_fit_its_annotation_is_kept_as_plain_json(queue, caplog):
    def count(_) -> int:
        return "many"

    queue.work(count)
    assert queue.add(1).result(10) == "many"
    assert "is not int" in caplog.text
    with pytest.raises(UsageError, match="is not int"):
        queue.jobs()[0].result(type=int)


def test_a_subclass_that_loses_fields_is_told(queue, caplog):
    class More(Model):
        extra: int = 5

    queue.work(lambda _: More(), returns=Model)
    assert queue.add(1).result(10) == Model()
    assert "which comes back changed, as Model" in caplog.text


def test_every_property_of_a_handle_is_live(queue):
    def fail(job):
        job.progress(0.4)
        raise ValueError("no stamps")

    job = queue.add(1, attempts=1)
    assert (job.state, job.attempt, job.failure, job.finished) == ("waiting", 0, None, None)
    assert job.created is not None
    queue.work(fail).drain(10)
    assert job.failure.error == "ValueError: no stamps"
    assert (job.attempt, job.state, job.progress()) == (1, "failed", 0.4)
    assert job.created <= job.started <= job.finished
    assert job.worker
    seen = job.snapshot()
    assert (seen.state, seen.attempt, seen.failure.error) == ("failed", 1, job.failure.error)
    job.remove()
    assert job.state == "gone"
    assert job.failure.error == "ValueError: no stamps"


def test_a_property_is_one_round_trip_without_data_and_result(queue, monkeypatch):
    job = queue.add("x" * 10_000)
    asked = []
    show = queue._store.show
    monkeypatch.setattr(queue._store, "show", lambda *args: asked.append(show(*args)) or asked[-1])
    assert (job.attempt, job.failure) == (0, None)
    assert len(asked) == 2
    assert not any({"message", "result"} & set(one.fields) for one in asked)


def test_a_marked_processor_declares_its_type():
    @processor("mail", returns=list[Model])
    def send(job): ...

    module = type("module", (), {"send": send, "__name__": "m"})
    assert marked(module)["mail"].declared.name == "list[Model]"


def test_progress_takes_documented_forms(queue):
    queue.work(lambda job: job.progress({"at": dt.date(2026, 1, 2)}))
    job = queue.add(1)
    job.result(10)
    assert job.progress() == {"at": "2026-01-02"}
