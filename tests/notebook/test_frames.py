"""Answers as tables: what other libraries read of them, and how they show themselves."""

import re
from pathlib import Path

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest

import flowmine
from flowmine.notebook import markup
from flowmine.notebook.frame import Frame, Listing, shown_of
from flowmine.report.tables import Column, Table
from tests.notebook.capturing import HOSTILE, IN_FORCE, hostile, three_tier


def test_other_libraries_read_answers_as_they_are() -> None:
    """pandas, polars, duckdb and pyarrow see the same rows."""
    edges = three_tier().edges()
    frame = edges.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert [246, 246, 246] == [len(frame), polars.DataFrame(edges).height, pa.table(edges).num_rows]
    counted = duckdb.sql("select outcome, count(*) from edges group by 1 order by 1").fetchall()
    assert [("delivered", 167), ("dropped", 79)] == counted
    assert frame["outcome"].value_counts().to_dict() == dict(counted)
    assert edges.schema == edges.table.schema == pa.schema(edges)


def test_flows_and_policies_are_tables_too() -> None:
    """A query joins what was seen with what is in force."""
    flows, policies = three_tier(), flowmine.PolicySet.load(IN_FORCE)
    assert [(3878,)] == duckdb.sql("select count(*) from flows").fetchall()
    assert (3878, 57) == polars.DataFrame(flows).shape
    assert ["backend-policy", "database-policy", "frontend-policy"] == polars.DataFrame(policies)[
        "name"
    ].to_list()
    verdicts = policies.verdicts([])
    assert [] == verdicts


def test_times_are_in_utc_and_kept_to_the_nanosecond() -> None:
    """A DataFrame has the times of the events."""
    first = three_tier().edges().to_pandas()["first"]
    assert "UTC" == str(first.dt.tz)
    assert first.min().nanosecond or first.min().microsecond


def test_a_table_shows_its_first_rows_and_counts_the_rest() -> None:
    """In a terminal twenty, in a notebook a hundred."""
    found = Listing("numbers", pa.table({"number": list(range(150))}), ["a sentence"])
    assert "and 130 more rows" in repr(found)
    assert repr(found).endswith("a sentence")
    assert "and 50 more rows" in found._repr_html_()
    assert (150, True, False) == (len(found), bool(found), bool(Listing("none", pa.table({"x": []}))))


def test_a_listing_is_made_when_it_is_asked_for_and_once() -> None:
    """What makes the rows is called for the first answer that needs them."""
    made: list[int] = []

    def rows() -> pa.Table:
        made.append(1)
        return pa.table({"x": [1, 2]})

    found = Listing("late", rows)
    assert [] == made
    assert (2, [{"x": 1}, {"x": 2}]) == (len(found), found.to_pylist())
    assert [1] == made


def test_cells_are_shown_for_people() -> None:
    """Times to the second, lists with commas, nothing for null, numbers to the right."""
    table = pa.table(
        {
            "at": pa.array([1_800_000_000 * 10**9 + 1, None], pa.timestamp("ns", tz="UTC")),
            "some_names": pa.array([["a", "b"], []], pa.list_(pa.string())),
            "share": [0.5, None],
            "open": [True, False],
        }
    )
    shown = shown_of(table)
    assert (Column("at"), Column("some names"), Column("share", number=True), Column("open")) == shown.columns
    assert (("2027-01-15 08:00:00", "a, b", "0.50", "yes"), ("", "", "", "no")) == shown.rows


def test_outcomes_have_the_colours_of_the_map() -> None:
    """A word that the map colours has its class, also where an edge changed; other cells have none."""
    shown = Table((Column("outcome"), Column("n", number=True)), (("dropped (changed)", "1"), ("fine", "2")))
    html = markup.table(shown)
    assert '<td class="dropped">dropped (changed)</td><td class="number">1</td>' in html
    assert "<td>fine</td>" in html
    sheet = Path(markup.__file__).parents[1] / "report" / "templates" / "report" / "map.css"
    colours = re.findall(r"--(?:delivered|dropped|audited|other|unseen): [^;]+;", sheet.read_text("utf-8"))
    assert 5 == len(colours)
    assert [] == [colour for colour in colours if colour not in markup.card("")]


def test_a_notebook_is_given_some_policies_and_told_of_the_rest() -> None:
    """A notebook is kept as a file: hundreds of policies do not all go into it."""
    assert ["a"] * 50 + ['<p class="quiet">and 2 more policies</p>'] == list(
        markup.some("a" * 52, "policies")
    )
    assert ["a"] * 50 == list(markup.some("a" * 50, "policies"))


def test_a_diff_is_coloured_line_by_line() -> None:
    """What comes and goes has a colour of its own, and nothing in it is markup."""
    expected = (
        '<pre> same\n<span class="delivered">+&lt;b&gt;</span>\n<span class="dropped">-old</span></pre>'
    )
    assert expected == markup.diff(" same\n+<b>\n-old\n")


@pytest.mark.parametrize(
    "question",
    ["edges", "drops", "recommend", "map", "first_seen", "namespaces", "completeness", "timeline", "filter"],
)
def test_hostile_names_run_nothing_and_drive_no_terminal(question: str, tmp_path: Path) -> None:
    """Whatever a pod, a client or a resolver calls itself stays text, short enough to read."""
    flows = flowmine.read(hostile(tmp_path, labels=question != "recommend"))
    flows.edges()
    answer: Frame = getattr(flows, question)()
    html = answer._repr_html_()
    assert [] == [tag for tag in ("<script", "<img", "alert(1)</script>", "\x1b") if tag in html]
    assert "\x1b" not in repr(answer)
    assert HOSTILE not in html
    assert all(len(line) < 50_000 for line in html.split("<td"))


def test_hostile_policies_run_nothing() -> None:
    """Names and comments of policies are text as well, in lists, traces and findings."""
    manifest = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "web", "annotations": {"note": "<script>alert(1)</script>"}},
        "spec": {
            "description": "<script>alert(1)</script>",
            "endpointSelector": {"matchLabels": {"app": "<script>alert(1)</script>"}},
            "ingress": [{}],
        },
    }
    policies = flowmine.PolicySet.from_dicts([manifest])
    shown = (policies, policies.lint(), policies.trace("app=a", "app=<script>alert(1)</script>", 80))
    assert [0, 0, 0] == [each._repr_html_().count("<script") for each in shown]
