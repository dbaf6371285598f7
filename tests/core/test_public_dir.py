"""Tab shows what a user may call: the public names of each public class, and no others.

`PUBLIC` is the contract: a name that joins it is documented, one that leaves it is deprecated
first.
"""

from __future__ import annotations

from inspect import signature

import pytest
import redis
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agentnb
from agentnb.core.redact import Secret
from agentnb.core.settings import FIELDS

PUBLIC = {
    "Hub": """
        aclose adoctor aerrors ahealth aopen api apis aready areset astatus astop atools cache close
        closed databases db docker doctor errors events files git github health llm logs mcp
        mcp_servers metrics open
        panel queue queues ready record redis repo reset run_workers runtime settings status stop
        tools trace tracer variable websocket websockets workflows
    """,
    "Runtime": "clock ephemeral flight hub_id log redactor tracer",
    "Tracer": """
        close counters dropped failed flush path recent redactor retention running span trace
    """,
    "Traces": """
        acapture aget alast alist capture carry close current_id dropped export_to exports get last
        list run span
    """,
    "SpanExport": "aflush astop dropped error exported flush reason stop target waiting",
    "LogFile": "attach close failed flush kept path",
    "Secret": "reveal",
    "Redactor": "add begun",
    "Table": """
        arrow column columns df dicts display empty formats header kinds note pl rows to_clipboard
        to_csv to_json to_parquet
    """,
    # Beside the names of redis-py's client.
    "RedisClient": """
        embedded execute_within node probe publisher repeating runtime subscriber target timeout
        tracer untraced within
    """,
    "Databases": """
        aclose aconnect aforget alist close connect forget list names opened
    """,
    "Database": """
        access aclose adescribe aexecute aexplain aexport aload aping aplot aprofile aquery aretype
        arun ascript astream atables atransaction close describe engine execute explain export kind
        load max_bytes name ping plot profile query read_only retype rows run script session stream
        support tables timeout transaction
    """,
    "Result": """
        arrow as_grid column columns df dicts display empty formats grid header kinds note notices
        objects pl plot profile returns_rows rowcount rows scalar statement to_clipboard to_csv
        to_json to_parquet truncated
    """,
    "Cache": """
        aclose adelete aget aget_or_set ainvalidate ainvalidate_tags akeys aset astats attl cached
        cells close default_ttl delete get get_or_set inspect invalidate invalidate_tags keys set
        stats ttl
    """,
    "EventBus": """
        aclose adead_letters adiscard aflush ahistory aping apublish areplay asubscribe attachment
        await_for close dead_letters discard flush history inspect matcher pending ping publish
        publish_function redis replay source stream subscribe subscriptions table unsubscribe
        wait_for
    """,
    "Event": """
        channel copy correlation_id data envelope gap id pending place raw source time trace_id
        traceparent
    """,
    "Subscription": "busy_for close dropped failed gaps handled handler name pattern state waiting",
    "Queues": """
        aadd_task aclose add_task afind afind_schedule anames aoverview aschedule_infos aschedules
        atable aworkers close find find_schedule get_queue names overview process_queue
        schedule_infos schedules table within workers working
    """,
    "Queue": """
        aadd aadd_many abatch abatches acancel acounts add add_many aget aget_schedule ajobs
        alimit alimits amap apause areasons aremove aresume aretry aschedule aschedule_infos
        aschedules asearch asearch_ids astop aunlimit aunschedule awhy_waiting aworkers batch
        batches cancel counts current forget_processor get get_schedule huey jobs lease limit
        limits map name pause paused process queues reasons remove result_ttl resume retry
        schedule schedule_infos schedules search search_ids stop unlimit unschedule why_waiting
        work worker workers
    """,
    "Job": """
        acancel alog alogs aprogress arefresh aremove aresult aretry asnapshot attempt cancel
        cancelled check_cancelled context correlation_id created data fail failure finished hub id
        log logs options progress queue raw reason refresh remove result retry schedule
        scheduled_at seen snapshot started state trace_id traceparent unkept worker
    """,
    "FileSystemManager": """
        aappend aclose acopy_directory acopy_file adelete aedit aensure_directory aexists
        aglob ahash_file ahead alist amove aping append aread_file aresolve_path ausage
        awatch awrite_file close confined_by copy_directory copy_file delete edit
        ensure_directory exists glob hash_file head list max_size move ping quota read_file
        read_only resolve_path root usage watch write_file
    """,
    "GitManager": """
        aabort aadd_files aadd_remote aamend abort abranches aclone acommit aconflicts
        acreate_branch acreate_tag acurrent_branch add_files add_remote adelete_branch
        adelete_tag adiff adiff_of_unknown afetch afetch_submodules aget_current_branch
        aget_diff aget_status ainitialize ainterpret ais_repository alog amend amerge
        amerge_abort amerge_continue anames aping apull apush aremotes aremove_remote
        aremove_worktree arepository aresolve arestore aroot ashow ashow_file astash
        astash_apply astash_drop astash_pop astash_show astashes astatus asubmodules aswitch
        at atags aunstage_files aworktree aworktrees branches ceiling clone close commit
        conflicts create_branch create_tag current_branch delete_branch delete_tag diff
        diff_of_unknown fetch fetch_submodules filters get_current_branch get_diff
        get_status initialize interpret is_repository log merge merge_abort merge_continue
        names path ping protected pull push remotes remove_remote remove_worktree repository
        resolve restore root show show_file stash stash_apply stash_drop stash_pop
        stash_show stashes status submodules switch tags timeout unstage_files worktree
        worktrees
    """,
    "APIClient": """
        aclose adelete adownload aget ahead apatch apost aput arequest astream base_url
        breakers close closed cookies count delete download get head origin patch post put request
        stream
    """,
    "GitHub": """
        acomment acreate_pull_request aget_pull_request alist_pull_requests apaginate client
        close comment create_pull_request get_pull_request list_pull_requests paginate
    """,
    "MCPClient": """
        aaccept aasks accept acall aclose adescribe asks atools call changed close connected
        describe known astep max_bytes name step timeout tools
    """,
    "WebSocketClient": """
        aclose aconnect adisconnect areceive asend close connect connected disconnect json off on
        ping receive send state stats subprotocol url
    """,
    "WebSockets": """
        aclose aclose_client client clients close close_client table
    """,
    "DockerManager": """
        abuild_image aclose aevents aexec aget_container_logs aget_files aimages ainspect
        alist anames anetwork anetworks aping aprune apull aput_files aremove_network arun
        arun_container aservice astart_container astats astatus astop_container ausage
        await_until build_image close engine events exec get_container_logs get_files images
        inspect list names network networks ping policies prune pull put_files
        remove_network run run_container service start_container stats status stop_container
        usage wait_until
    """,
    "Orchestrator": """
        aagent_info aagent_infos aagents aanswer aapprove acancel aclose acounts acreate
        acreate_workflow_with_tasks aevents aforget agent agent_info agent_infos agents answer
        aget aget_schedule alimit alimits alist amigrate aping apipeline approve aprune
        apause areject arelay_once aresume aretry aschedule aschedule_infos aschedules
        aset astop atable
        aunlimit aunschedule await_ awaited awaits aworkers cancel close counts create
        create_workflow_with_tasks database events forget get get_schedule limit limits
        list migrate pause ping pipeline prune registry reject relay_once resume retry schedule
        schedule_infos schedules set stop table unlimit unschedule wait waited waits work worker
        workers
    """,
}
PUBLIC["Settings"] = (
    " ".join(field.name for field in FIELDS)
    + """
    in_project load redactor resolve root secrets source table unknown_variables variable
"""
)


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """Return one object of each public class, in use where that changes what it has."""
    folder = tmp_path_factory.mktemp("project")
    with agentnb.connect(home=folder / ".agentnb", start=folder) as hub:
        found = [
            *(hub, hub.runtime, hub.tracer, hub.trace, hub.logs, hub.databases, hub.db),
            hub.trace.export_to(InMemorySpanExporter()),
            *(hub.db.query("select 1"), hub.cache, hub.events, hub.events.publish("a", 1)),
            *(hub.events.subscribe("a", print), hub.queues, hub.queue("q"), hub.queue("q").add({})),
            *(hub.files, hub.git, hub.api("http://127.0.0.1:1"), hub.github, hub.websockets),
            *(
                hub.websocket("ws://127.0.0.1:1"),
                hub.mcp("stdio: true"),
                hub.docker,
                hub.workflows,
                hub.settings,
            ),
            *(hub.redis, hub.settings.table(), hub.settings.redactor, Secret("hunter22")),
        ]
        yield {type(one).__name__: one for one in found}


@pytest.mark.parametrize("name", PUBLIC)
def test_tab_shows_what_a_user_may_call(objects, name):
    shown = {one for one in dir(objects[name]) if not one.startswith("_")}
    if name == "RedisClient":
        shown -= set(dir(redis.Redis()))
    assert shown == set(PUBLIC[name].split())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_method_says_what_it_does(objects, name):
    kind = type(objects[name])
    methods = {one: getattr(kind, one, None) for one in PUBLIC[name].split()}
    assert [one for one, method in methods.items() if callable(method) and not method.__doc__] == []


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "RedisClient"])
def test_no_signature_shows_the_address_of_a_default(objects, name):
    kind = type(objects[name])
    methods = [getattr(kind, one, None) for one in PUBLIC[name].split()]
    shown = [str(signature(method)) for method in [kind, *methods] if callable(method)]
    assert [one for one in shown if " at 0x" in one or "<object" in one] == []
