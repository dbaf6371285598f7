from __future__ import annotations

import json
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentnb.core.errors import UsageError
from agentnb.magics.grammar import Grammar, Option, Verb, words
from agentnb.magics.grammar.values import alone, count, names, pair, pairs, seconds, times
from agentnb.magics.grammar.words import is_word

NOUNS = ("api", "cache", "db", "docker", "events", "files", "git", "queue", "workflow", "ws")
CHANNEL = Grammar(
    "events",
    "messages",
    (
        Verb("publish", "send", ("CHANNEL", "JSON"), (Option(("--delay",), "wait", "S", float),)),
        Verb("list", "all of them"),
        Verb("run", "a command", ("IMAGE",), cell=True, rest="[-- COMMAND]"),
    ),
    options=(
        Option(("-n", "--rows"), "at most", "ROWS", int),
        Option(("--as",), "give back", choices=("rows", "pandas")),
        Option(("--all",), "every one"),
        Option(("--name",), "what it is called", "NAME"),
    ),
)
SQL = Grammar(
    "db",
    "sql",
    (
        Verb("begin", "open"),
        Verb("describe", "columns", ("TABLE",)),
        Verb("connect", "name one", ("NAME", "[URL]"), (Option(("--env",), "take", "VARIABLE"),)),
        Verb("load", "write", ("WHAT", "TABLE")),
    ),
    options=CHANNEL.options[:4],
    free="SQL",
)


def fails(grammar, line, **names):
    with pytest.raises(UsageError) as caught:
        grammar.parse(line, names)
    return caught.value


def test_a_verb_takes_its_arguments_and_options_in_any_order():
    call = CHANNEL.parse("--all publish --delay 1.5 tasks {} -n 3", {})
    assert (call.verb, call.arguments) == ("publish", ["tasks", {}])
    assert call.options == {"all": True, "delay": 1.5, "rows": 3}


def test_an_option_may_have_its_value_behind_an_equals_sign():
    assert CHANNEL.parse("--rows=3 list --as=pandas", {}).options == {"rows": 3, "as": "pandas"}
    assert CHANNEL.parse('list --name="two words"', {}).options == {"name": "two words"}
    assert SQL.parse("--rows=3 select 1", {}).text == "select 1"


def test_json_is_decoded_where_it_stands():
    text = """publish tasks {"text": "it's {x} -- $y \\"z\\"", "n": [1, 2.5, null]} --delay 2"""
    call = CHANNEL.parse(text, {})
    assert call.arguments[1] == {"text": 'it\'s {x} -- $y "z"', "n": [1, 2.5, None]}
    assert call.options == {"delay": 2.0}


def test_malformed_json_is_told_with_its_place():
    error = fails(CHANNEL, "publish tasks {'type': 1}")
    assert "malformed JSON at character 2" in str(error)
    assert "double quotes" in error.hint


def test_malformed_json_of_a_verb_is_not_taken_for_sql():
    assert "malformed JSON at character 7" in str(fails(SQL, 'load {"a": } task'))


def test_a_value_in_braces_is_told_how_it_is_written_here():
    assert fails(SQL, "load {rows} task").hint == "a value of the notebook is written :rows"
    hint = fails(SQL, "load {url}/x").hint
    assert hint == 'a value is a word of its own: word = f"{url}/x", then :word'


def test_what_is_quoted_is_no_option():
    call = CHANNEL.parse("publish '--all' '{}'", {})
    assert (call.arguments, call.options) == (["--all", "{}"], {})


def test_quotes_hold_words_together():
    assert CHANNEL.parse("""publish 'two words' "it's" """, {}).arguments == ["two words", "it's"]


@pytest.mark.parametrize("line", ['publish "tasks {}', "publish tasks 'x"])
def test_a_quote_that_is_not_closed_is_told(line):
    assert "quote is not closed" in str(fails(CHANNEL, line))


def test_a_quote_of_sqls_own_is_left_to_the_database():
    assert SQL.parse("begin 'x", {}).text == "begin 'x"
    assert SQL.parse("select 'it", {}).verb is None


def test_a_misspelt_verb_is_told_with_the_nearest():
    error = fails(CHANNEL, "pubish tasks {}")
    assert (str(error), error.hint) == ("%events has no verb 'pubish'", "did you mean publish?")
    assert "verbs: publish, list" in fails(CHANNEL, "xyz").hint
    assert fails(CHANNEL, "'list'").hint == "did you mean list?"


def test_a_misspelt_option_is_told_with_the_nearest_in_front_and_behind():
    assert fails(CHANNEL, "--alll list").hint == "did you mean --all?"
    assert fails(CHANNEL, "publish a {} --dely 3").hint == "did you mean --delay?"
    assert fails(SQL, "--rosw 3 select 1").hint == "did you mean --rows?"
    assert fails(SQL, "connect prod --evn X").hint == "did you mean --env?"


def test_a_value_that_is_no_choice_is_told_with_the_nearest():
    error = fails(SQL, "--as panda select 1")
    assert (str(error), error.hint) == (
        "--as must be rows or pandas, got 'panda'",
        "did you mean pandas?",
    )


@pytest.mark.parametrize("line", ["-n many list", "list -n many", "--rows=many list"])
def test_a_value_of_the_wrong_kind_is_told(line):
    error = fails(CHANNEL, line)
    assert str(error) == "--rows must be a whole number, got 'many'"
    assert "ROWS" in error.hint


@pytest.mark.parametrize("line", ["list -n", "-n", "list --as"])
def test_an_option_without_its_value_is_told(line):
    assert "needs a value" in str(fails(CHANNEL, line))


@pytest.mark.parametrize("line", ["--all=1 list", "list --all=1"])
def test_a_flag_with_a_value_is_told(line):
    assert str(fails(CHANNEL, line)) == "--all takes no value"


def test_names_bind_as_arguments_and_as_the_values_of_options():
    task = {"id": 7, "labels": ["a"]}
    call = CHANNEL.parse(
        "publish :task.id :task -n :n --as :kind", {"task": task, "n": 2, "kind": "rows"}
    )
    assert call.arguments == [7, task]
    assert call.options == {"rows": 2, "as": "rows"}
    assert SQL.parse("-n :größe select 1", {"größe": 4}).options == {"rows": 4}
    assert CHANNEL.parse("publish :élan {}", {"élan": 1}).arguments == [1, {}]


def test_a_name_that_nothing_is_bound_to_is_told_with_the_nearest():
    assert fails(CHANNEL, "publish :tusk {}", task=1, tuskk=max).hint == "did you mean task?"
    assert fails(CHANNEL, "list -n :m", n=1).message == "nothing is bound to :m"


def test_a_colon_inside_of_a_word_is_not_a_name():
    call = CHANNEL.parse("publish tasks:ready :8080", {})
    assert call.arguments == ["tasks:ready", ":8080"]


def test_what_follows_two_dashes_is_handed_on_as_it_is():
    call = CHANNEL.parse("run python -- pytest  -q --all 'a  b", {})
    assert (call.arguments, call.options) == (["python"], {})
    assert call.rest == "pytest  -q --all 'a  b"
    assert CHANNEL.parse("run python --", {}).rest == ""
    assert CHANNEL.parse("run python", {}).rest is None
    error = fails(CHANNEL, "list -- all")
    assert (error.message, error.hint) == ("%events list takes nothing behind --", "%events list")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("list   # all of them, --all too", ["list"]),
        ("list --all # `it's` {open", ["list", "--all"]),
        ("publish #7 # 1", ["publish", "#7"]),
        ("publish a #", ["publish", "a", "#"]),
        ("publish a '# 1'", ["publish", "a", "# 1"]),
        ('publish a {"b": "# 1"} # c', ["publish", "a", '{"b": "# 1"}']),
        ("publish a # b\n1", ["publish", "a", "1"]),
    ],
)
def test_a_comment_goes_from_a_hash_and_a_space_to_the_end_of_its_line(line, found):
    assert [word.text for word in words(line)[0]] == found


def test_a_verb_with_a_comment_is_the_verb_and_a_comment_alone_is_an_empty_line():
    assert SQL.parse("begin   # what follows is one transaction", {}).verb == "begin"
    assert SQL.parse("begin # one\ninsert into t values (1)", {}).verb is None
    assert CHANNEL.parse("list # of 3", {}).words == []
    call = CHANNEL.parse("--all   # of them", {})
    assert (call.verb, call.text, call.options) == (None, "", {"all": True})
    assert SQL.parse("select 1 # 2", {}).text == "select 1 # 2"


def test_a_wrong_number_of_arguments_is_told_with_the_usage():
    error = fails(CHANNEL, "publish tasks")
    assert str(error) == "%events publish takes CHANNEL JSON, not 1 argument"
    assert error.hint == "%events publish CHANNEL JSON"


def test_what_is_more_than_a_verb_takes_is_told_how_it_is_written():
    verbs = (
        Verb("run", "", ("IMAGE",), rest="[-- COMMAND]"),
        Verb("add", "", ("QUEUE", "[DATA]")),
        Verb("rm", "", ("PATH",)),
    )
    grammar = Grammar("x", "", verbs, elsewhere={"kill": "rm", "gone": "nowhere"})
    assert fails(grammar, "run app echo hi").hint == "%x run app -- echo hi"
    assert fails(grammar, "run").hint == "%x run IMAGE [-- COMMAND]"
    said = fails(grammar, "add mail hello there you").hint
    assert said == 'a text of several words is in quotes: %x add mail "hello there you"'
    assert fails(grammar, 'add mail {"a": 1} {"b": 2}').hint == "%x add QUEUE [DATA]"
    assert fails(grammar, "rm a b").hint == "%x rm PATH"
    assert fails(grammar, "kill a").hint == "here it is %x rm PATH"
    assert fails(grammar, "gone").hint.startswith("verbs: ")


@pytest.mark.parametrize("text", [
    "select 1", "begin transaction", "describe a b", "Begin", "with x as (select 1) select *",
    "(select 1)", "-- begin", "/* begin */ select 1", "select '--all'", "load a", "-1",
])  # fmt: skip
def test_free_text_is_kept_as_it_is(text):
    call = SQL.parse(f"  -n 3 {text} ", {})
    assert (call.verb, call.text, call.options) == (None, text, {"rows": 3})


@pytest.mark.parametrize("text", ["begin", "begin --all", " begin \t", "begin -- rest"])
def test_a_verb_with_its_number_of_arguments_is_the_verb(text):
    assert SQL.parse(text, {}).verb == "begin"


def test_a_last_argument_with_dots_may_come_any_number_of_times():
    grammar = Grammar("git", "g", (Verb("add", "a", ("[PATH...]",)), Verb("rm", "r", ("X...",))))
    for line in ("add", "add a", "add a b c"):
        assert grammar.parse(line, {}).arguments == line.split()[1:]
    assert grammar.parse("rm a b", {}).arguments == ["a", "b"]
    assert "takes X..." in fails(grammar, "rm").message


@pytest.mark.parametrize("line", [
    "-n 5 -n 6 select 1", "-n 5 --rows 5 select 1", "--all --all select 1", "-n 5 begin -n 6",
    "begin --all --all", "connect a --env X --env Y",
])  # fmt: skip
def test_an_option_that_is_given_twice_is_refused(line):
    error = fails(SQL, line)
    assert "is given twice" in error.message
    assert "leave one away" in error.hint


@pytest.mark.parametrize(("line", "fits"), [
    ("describe", False), ("describe a", True), ("describe a b", False),
    ("connect", False), ("connect a", True), ("connect a b", True), ("connect a b c", False),
    ("load a", False), ("load a b", True), ("begin a", False),
])  # fmt: skip
def test_each_number_of_arguments_is_the_verbs_or_makes_the_line_sql(line, fits):
    call = SQL.parse(line, {})
    assert (call.verb is not None, call.text == line) == (fits, not fits)


def test_a_misspelt_option_is_the_verbs_only_where_the_rest_fits_the_verb():
    assert "--al" in fails(SQL, "describe task --al").message
    assert SQL.parse("describe the table --al", {}).text == "describe the table --al"


def test_malformed_json_is_the_verbs_only_where_the_verb_has_an_argument():
    assert "malformed JSON" in fails(SQL, "load {1 task").message
    assert SQL.parse("load a b {1", {}).text == "load a b {1"


@pytest.mark.parametrize("line", ["describe --help", "describe a b --help", "begin --help"])
def test_help_is_of_the_verb_whatever_else_is_there(line):
    call = SQL.parse(line, {})
    assert (call.verb, call.options) == (line.split()[0], {"help": True})


@pytest.mark.parametrize(("text", "rest"), [
    ("run a -- b", "b"), ("run a --", ""), ("run a --  b ", " b "), ("run a --\tb", "b"),
    ("run a --b", None), ("run a -b --", ""), ("run 'a -- b'", None),
])  # fmt: skip
def test_two_dashes_end_the_words_only_where_they_stand_alone(text, rest):
    assert words(text)[1] == rest


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="'"), min_size=1))
)
def test_words_in_quotes_come_back_as_they_are(texts):
    found, rest = words("run " + " ".join(f"'{text}'" for text in texts))
    assert [word.text for word in found[1:]] == texts
    assert rest is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.lists(json_values), st.dictionaries(st.text(), json_values))))
def test_json_comes_back_as_it_is(values):
    found, _ = words("add " + " ".join(json.dumps(value) for value in values))
    assert [word.value for word in found[1:]] == values
    assert {word.kind for word in found[1:]} <= {"json"}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_line_is_understood_or_refused_and_free_text_is_whole(line):
    try:
        call = SQL.parse(line, {})
    except UsageError:
        return
    assert call.verb is not None or line.rstrip().endswith(call.text)


def test_windows_line_ends_are_spaces():
    assert SQL.parse("begin\r\n", {}).verb == "begin"
    assert SQL.parse("describe task\r", {}).arguments == ["task"]


def test_a_line_may_be_very_long():
    ids = ", ".join(map(str, range(100_000)))
    assert SQL.parse(f"--all select * from t where id in ({ids})", {}).text.endswith("99999)")
    assert len(CHANNEL.parse(f"publish t [{ids}]", {}).arguments[1]) == 100_000


def test_an_empty_line_is_neither_verb_nor_text():
    call = SQL.parse("  ", {})
    assert (call.verb, call.text) == (None, "")


def test_the_words_of_a_call_are_kept_as_they_were_written():
    call = SQL.parse("connect prod :url", {"url": "sqlite://"})
    assert [(word.kind, word.text) for word in call.words] == [("plain", "prod"), ("bind", ":url")]


def test_help_names_every_verb_option_and_example():
    text = CHANNEL.help()
    assert all(name in text for name in ("publish CHANNEL JSON", "list", "help", "--quiet"))
    assert "options of publish:\n  --delay" in text
    about = CHANNEL.help("publish")
    assert "--delay S" in about
    assert "run IMAGE" not in about
    assert "anything that is not a verb is SQL" in SQL.help()
    with pytest.raises(UsageError) as caught:
        CHANNEL.help("publsh")
    assert caught.value.hint == "did you mean publish?"


def test_words_know_where_they_stood():
    text = 'add  "a b" {"x": 1}'
    assert [text[word.start : word.end] for word in words(text)[0]] == ["add", '"a b"', '{"x": 1}']


@pytest.mark.parametrize(
    ("convert", "taken", "refused"),
    [
        (count, {"1": 1, "12": 12}, ["0", "-1", "1.5", "", "many"]),
        (times, {"0": 0, "3": 3}, ["-1", "0.5", "", "many"]),
        (seconds, {"0.001": 0.001, "60": 60.0}, ["0", "-1", "inf", "-inf", "nan", "", "1s"]),
    ],
    ids=["count", "times", "seconds"],
)
def test_numbers_of_options_have_a_range(convert, taken, refused):
    assert {text: convert(text) for text in taken} == taken
    for text in refused:
        with pytest.raises(ValueError):  # noqa: PT011 - the grammar says which option it was
            convert(text)


def test_what_tab_offers_is_one_word_as_it_is():
    assert all(map(is_word, ("user:7", "a-b", "ünï", "a{b}", "5")))
    for text in ("", "two words", "it's", 'say"', "--ttl", "-n", ":name", "{a", "[a", "a\x00b"):
        assert not is_word(text), text


def test_a_misspelt_option_is_an_error_only_where_the_rest_fits_the_verb():
    assert fails(SQL, "describe task --al").hint == "did you mean --all?"
    assert fails(SQL, "begin --al").hint == "did you mean --all?"
    for line in ("describe --rosw", "begin work --al", "load task --rosw"):
        assert SQL.parse(line, {}).verb is None, line


@pytest.mark.parametrize("line", [
    "%events dead --replay all --discard all", "%events dead --replay all -n 3",
    "%events dead --yes", "%events dead --discard all --count 3", "%git branch side --force",
    "%git branch --delete --force", "%git branch --delete side main", "%git worktree --force",
    "%git worktree add there side --force",
])  # fmt: skip
def test_an_option_without_an_effect_is_refused(run, line):
    run("_ = hub.git.initialize()")
    with pytest.raises(UsageError, match=r"has no effect|takes the name of one branch") as caught:
        run(line)
    assert caught.value.hint.startswith(("%events help dead", "%git "))


def test_an_option_is_taken_with_what_it_needs(run):
    assert str(run("%events dead --replay all --yes")) == "0 replayed"
    assert len(run("%events dead -n 3")) == 0


# Options that may be repeated

ADDS = Grammar(
    "docker",
    "containers",
    (
        Verb(
            "run",
            "a command",
            ("IMAGE",),
            (
                Option(("-e", "--env"), "variables", "A=1", pairs, adds=True, whole=pair),
                Option(("--files",), "copies", "PATHS", names, adds=True, whole=alone),
                Option(("--tag",), "tags", "TAGS", names, adds=True),
                Option(("--user",), "who", "UID"),
            ),
        ),
    ),
    options=(Option(("--on",), "names", "NAMES", names, adds=True),),
)


@pytest.mark.parametrize(("line", "env"), [
    ("-e A=1 -e B=2", {"A": "1", "B": "2"}), ("-e A=1,B=2 --env C=", {"A": "1", "B": "2", "C": ""}),
    ("-e A=x,y -e B=2", {"A": "x,y", "B": "2"}), ("-e A=1,", {"A": "1,"}),
    ('-e "DB=p://h/d?a=1,b=2"', {"DB": "p://h/d?a=1,b=2"}),
    ("-e DB='p://h/d?a=1,b=2'", {"DB": "p://h/d?a=1,b=2"}),
    ('--env="A=1,B=2" --env=C=3', {"A": "1,B=2", "C": "3"}),
    ("-e :more -e D=4", {"A": 1, "D": "4"}),
])  # fmt: skip
def test_variables_add_up_and_one_in_quotes_keeps_its_commas(line, env):
    assert ADDS.parse(f"run app {line}", {"more": {"A": 1}}).options == {"env": env}


def test_lists_add_up_in_front_of_the_verb_and_behind_it():
    call = ADDS.parse("--on a --on b,c run app --on d --tag x,y --tag 'z, w' --tag :more", {
        "more": ["p,q"],
    })  # fmt: skip
    assert call.options == {"on": ["a", "b", "c", "d"], "tag": ["x", "y", "z", "w", "p,q"]}
    call = ADDS.parse("run app --files 'a,b.txt' --files c,d", {})
    assert call.options == {"files": ["a,b.txt", "c", "d"]}


@pytest.mark.parametrize(("line", "said"), [
    ("-e A=1 -e A=2", "--env has 'A' twice"),
    ("-e A=1,A=2", "--env must be of the form A=1, got 'A=1,A=2'"),
    ("-e A", "--env must be of the form A=1, got 'A'"),
    ("-e =1", "--env must be of the form A=1, got '=1'"),
    ("--user 1 --user 2", "--user is given twice"),
])  # fmt: skip
def test_a_variable_or_a_single_value_that_is_given_twice_is_refused(line, said):
    assert fails(ADDS, f"run app {line}").message == said


def test_help_says_which_options_may_be_repeated():
    text = ADDS.help("run")
    assert "-e, --env A=1 ..." in text
    assert "--user UID  " in text


_env_names = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,8}\Z")
_env_values = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'"))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dictionaries(_env_names, _env_values, max_size=5))
def test_variables_in_quotes_come_back_as_they_are(env):
    line = " ".join(f"-e '{name}={value}'" for name, value in env.items())
    assert ADDS.parse(f"run app {line}", {}).options.get("env", {}) == env


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.from_regex(r"\A[A-Za-z_]\w{0,8}=[^\s'\"]*\Z", fullmatch=True), max_size=5))
def test_no_part_of_a_variable_is_lost(parts):
    line = " ".join(f"-e {part}" for part in parts)
    try:
        env = ADDS.parse(f"run app {line}", {}).options.get("env", {})
    except UsageError as error:
        assert "twice" in error.message or "must be of the form" in error.message  # noqa: PT017
        return
    written = sorted(",".join(f"{name}={value}" for name, value in env.items()))
    assert written == sorted(",".join(parts))


@pytest.mark.parametrize("noun", NOUNS)
def test_every_option_with_a_list_or_a_dictionary_may_be_repeated(noun):
    module = import_module(f"agentnb.magics.{noun}.grammar")
    grammars = [one for one in vars(module).values() if isinstance(one, Grammar)]
    verbs = [(one, verb) for one in grammars for verb in one.verbs.values()]
    options = {option for one, verb in verbs for option in one.options_of(verb)}
    # JSON that is one value, such as a record, is not a list of values.
    for option in (one for one in options if not one.json and one.key != "backoff"):
        for text in ("a,b", "A=1,B=2", "80:8080", '{"a": 1}'):
            try:
                value = option.convert(text)
            except (ValueError, TypeError):
                continue
            assert option.adds == isinstance(value, (list, dict)), option.names
