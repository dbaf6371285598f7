-- The tables that the migrations make in an empty SQLite file: a test holds that they do.
CREATE TABLE agentnb_alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT agentnb_alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE agentnb_task (
	id TEXT NOT NULL,
	workflow_id TEXT NOT NULL,
	place INTEGER NOT NULL,
	scope TEXT NOT NULL,
	name TEXT NOT NULL,
	agent TEXT NOT NULL,
	state TEXT NOT NULL,
	needs TEXT NOT NULL,
	frees TEXT,
	missing INTEGER NOT NULL,
	data TEXT NOT NULL,
	result TEXT,
	error TEXT,
	traceback TEXT,
	log TEXT,
	attempt INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	priority INTEGER NOT NULL,
	delay DOUBLE NOT NULL,
	timeout DOUBLE,
	backoff DOUBLE NOT NULL,
	max_parallel INTEGER,
	approval INTEGER NOT NULL,
	approved_by TEXT,
	cancel INTEGER NOT NULL,
	progress DOUBLE,
	message TEXT NOT NULL,
	owner TEXT,
	created DOUBLE NOT NULL,
	due DOUBLE,
	ready_at DOUBLE,
	started DOUBLE,
	finished DOUBLE, unkept TEXT, entry INTEGER DEFAULT 0 NOT NULL, deaths INTEGER DEFAULT 0 NOT NULL, own_attempts INTEGER DEFAULT 1 NOT NULL, own_timeout INTEGER DEFAULT 1 NOT NULL, ended INTEGER, own_backoff INTEGER DEFAULT 0 NOT NULL, usage TEXT, parent TEXT, looked INTEGER DEFAULT 0 NOT NULL, began DOUBLE,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX agentnb_task_of ON agentnb_task (workflow_id, place);
CREATE INDEX agentnb_task_active ON agentnb_task (scope, workflow_id) WHERE state = 'active';
CREATE TABLE agentnb_task_step (
	task_id TEXT NOT NULL,
	name TEXT NOT NULL,
	result TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	created DOUBLE NOT NULL, unkept TEXT, input TEXT,
	PRIMARY KEY (task_id, name)
);
CREATE TABLE agentnb_event (
	seq INTEGER NOT NULL,
	id TEXT NOT NULL,
	scope TEXT NOT NULL,
	workflow_id TEXT NOT NULL,
	type TEXT NOT NULL,
	channel TEXT NOT NULL,
	data TEXT NOT NULL,
	created DOUBLE NOT NULL,
	taken DOUBLE NOT NULL,
	published DOUBLE,
	PRIMARY KEY (seq)
);
CREATE INDEX agentnb_event_unpublished ON agentnb_event (scope, seq) WHERE published is null;
CREATE INDEX agentnb_event_of ON agentnb_event (workflow_id, seq);
CREATE TABLE agentnb_agent (
	scope TEXT NOT NULL,
	name TEXT NOT NULL,
	capabilities TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	timeout DOUBLE,
	backoff DOUBLE NOT NULL,
	module TEXT NOT NULL,
	registered DOUBLE NOT NULL,
	PRIMARY KEY (scope, name)
);
CREATE TABLE agentnb_worker (
	scope TEXT NOT NULL,
	owner TEXT NOT NULL,
	agents TEXT NOT NULL,
	kind TEXT NOT NULL,
	concurrency INTEGER NOT NULL,
	lease DOUBLE NOT NULL,
	heartbeat DOUBLE NOT NULL, shared INTEGER DEFAULT 0 NOT NULL, host TEXT, executor TEXT, started DOUBLE,
	PRIMARY KEY (scope, owner)
);
CREATE TABLE "agentnb_workflow" (
	id TEXT NOT NULL,
	scope TEXT NOT NULL,
	name TEXT NOT NULL,
	"key" TEXT,
	state TEXT NOT NULL,
	data TEXT NOT NULL,
	max_parallel INTEGER,
	pending INTEGER NOT NULL,
	created DOUBLE NOT NULL,
	finished DOUBLE,
	error TEXT,
	traceparent TEXT,
	correlation_id TEXT, paused DOUBLE, deadline DOUBLE,
	PRIMARY KEY (id)
);
CREATE INDEX agentnb_workflow_newest ON agentnb_workflow (scope, created);
CREATE TABLE agentnb_workflow_key (
	scope TEXT NOT NULL,
	"key" TEXT NOT NULL,
	workflow_id TEXT NOT NULL,
	digest TEXT,
	created DOUBLE NOT NULL,
	PRIMARY KEY (scope, "key")
);
CREATE UNIQUE INDEX agentnb_task_named ON agentnb_task (workflow_id, name);
CREATE INDEX agentnb_task_ready ON agentnb_task (scope, agent, priority, due, place) WHERE state = 'waiting' and max_parallel is null;
CREATE INDEX agentnb_task_bounded ON agentnb_task (workflow_id, agent, priority, due, place) WHERE state = 'waiting' and max_parallel is not null;
CREATE INDEX agentnb_workflow_bounded ON agentnb_workflow (scope) WHERE state = 'active' and max_parallel is not null;
CREATE TABLE agentnb_pulse (
	task_id TEXT NOT NULL,
	entry INTEGER NOT NULL,
	process TEXT NOT NULL,
	begun DOUBLE NOT NULL,
	silent DOUBLE NOT NULL,
	PRIMARY KEY (task_id)
);
CREATE TABLE agentnb_identity (
	scope TEXT NOT NULL,
	id TEXT NOT NULL,
	PRIMARY KEY (scope)
);
CREATE TABLE agentnb_schedule (
	scope TEXT NOT NULL,
	name TEXT NOT NULL,
	spec TEXT NOT NULL,
	revision INTEGER NOT NULL,
	due DOUBLE,
	paused INTEGER NOT NULL,
	fired INTEGER NOT NULL,
	last DOUBLE,
	last_id TEXT,
	error TEXT,
	PRIMARY KEY (scope, name)
);
CREATE INDEX agentnb_schedule_due ON agentnb_schedule (scope, due);
CREATE TABLE agentnb_agent_limit (
	scope TEXT NOT NULL,
	agent TEXT NOT NULL,
	rate INTEGER,
	per DOUBLE,
	concurrency INTEGER,
	starts BIGINT NOT NULL,
	PRIMARY KEY (scope, agent)
);
CREATE TABLE agentnb_agent_start (
	scope TEXT NOT NULL,
	agent TEXT NOT NULL,
	slot INTEGER NOT NULL,
	at DOUBLE NOT NULL,
	PRIMARY KEY (scope, agent, slot)
);
CREATE INDEX agentnb_workflow_deadline ON agentnb_workflow (scope, deadline) WHERE state = 'active' and deadline is not null;
CREATE TABLE agentnb_stream (
	task_id TEXT NOT NULL,
	seq INTEGER NOT NULL,
	name TEXT NOT NULL,
	step TEXT NOT NULL,
	first INTEGER NOT NULL,
	number INTEGER NOT NULL,
	size INTEGER NOT NULL,
	data TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	created DOUBLE NOT NULL,
	PRIMARY KEY (task_id, seq)
);
CREATE TABLE agentnb_task_wait (
	task_id TEXT NOT NULL,
	name TEXT NOT NULL,
	scope TEXT NOT NULL,
	workflow_id TEXT NOT NULL,
	kind TEXT NOT NULL,
	state TEXT NOT NULL,
	question TEXT NOT NULL,
	form TEXT,
	addressee TEXT,
	what TEXT,
	remaining INTEGER,
	strict INTEGER NOT NULL,
	entry INTEGER NOT NULL,
	answer TEXT,
	"by" TEXT,
	error TEXT,
	created DOUBLE NOT NULL,
	since DOUBLE,
	due DOUBLE,
	ended DOUBLE,
	PRIMARY KEY (task_id, name)
);
CREATE INDEX agentnb_task_due ON agentnb_task (scope, agent, due) WHERE state in ('delayed', 'parked') and due is not null;
CREATE INDEX agentnb_task_children ON agentnb_task (parent) WHERE parent is not null;
CREATE INDEX agentnb_task_wait_open ON agentnb_task_wait (scope, kind) WHERE state = 'open';
