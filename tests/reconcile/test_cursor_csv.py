"""Cursor's CSV of usage events: headers as real exports of several ages have them, all values invented."""

from __future__ import annotations

import pytest

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.cursor_csv import CursorCsv
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Who
from spendgate.usage import Usage

SOURCE = CursorCsv()
TOKENS = "Input (w/ Cache Write),Input (w/o Cache Write),Cache Read,Output Tokens,Total Tokens"
NEW = f"Date,User,Cloud Agent ID,Automation ID,Kind,Model,Max Mode,{TOKENS},Cost\n"
OLD = f"Date,Kind,Model,Max Mode,{TOKENS},Cost\n"
OLDEST = f"Date,Model,{TOKENS},Cost\n"
REQUESTS = f"Date,Kind,Model,Max Mode,{TOKENS},Requests\n"
AT = "2026-11-20T06:56:12.521Z"
ROWS = (
    f'"{AT}","a@example.com","","","On-Demand","claude-opus-4-8","Yes","28342","775","105891","21282","156290","$0.49"\n'
    f'"{AT}","a@example.com","bc-1","","Included","gpt-5-codex","No","0","8263","66964","1612","76839","0.32"\n'
    f'"{AT}","svc","","auto-1","Errored, No Charge","gpt-5","No","0","1","0","0","1","-"\n'
    f'"{AT}","a@example.com","","","User API Key","gpt-5","No","0","1","0","0","1","Free"\n'
)


def test_the_newest_header() -> None:
    said = read(SOURCE, "\ufeff" + NEW + ROWS)
    demand, included, failed, own = said.lines
    assert demand.usage == Usage(775, 105_891, None, None, 28_342, 21_282), "what was written is a class of its own"
    assert (demand.billed, demand.billed_nanos, demand.list_nanos) == (Billed.METERED, 490_000_000, 490_000_000)
    assert (demand.charge, demand.axes, demand.amount) == (Charge.TOKENS, Axes(context="max"), "$0.49")
    assert demand.who == Who(user="a@example.com", email="a@example.com")
    assert (included.billed, included.billed_nanos, included.list_nanos) == (Billed.INCLUDED, 0, 320_000_000)
    assert [each.product for each in said.lines] == [None, "Cloud Agent", "Automation", None]
    assert (failed.billed, failed.billed_nanos, failed.list_nanos) == (Billed.NOT_CHARGED, 0, None)
    assert failed.who == Who(user="svc")
    assert (own.billed, own.billed_nanos) == (Billed.ELSEWHERE, 0)
    assert (demand.starts_ms, said.from_ms, said.until_ms) == (START + 24_972_521, START, START + DAY_MS)


def test_older_headers() -> None:
    (said,) = read(SOURCE, f"{OLD}{AT},Included in Pro,gpt-5,No,1,2,3,4,10,Included\n").lines
    assert (said.billed, said.billed_nanos, said.list_nanos, said.who) == (Billed.INCLUDED, 0, None, Who())
    oldest = read(
        SOURCE, f"{OLDEST}{AT},gpt-5,1,2,3,4,10,$1.25\n{AT},gpt-5,1,2,3,4,10,Included\n{AT},gpt-5,1,2,3,4,10,-\n"
    )
    assert [(each.billed, each.billed_nanos) for each in oldest.lines] == [
        (Billed.METERED, 1_250_000_000), (Billed.INCLUDED, 0), (Billed.METERED, None),
    ]  # fmt: skip
    assert "3 rows: without a kind: amounts are metered" in oldest.notes
    assert read(SOURCE, f"{OLD}{AT},On-Demand,gpt-5,No,1,2,3,4,10,Free\n").lines[0].billed_nanos == 0
    (day,) = read(SOURCE, f"{OLD}2026-11-20,On-Demand,gpt-5,No,1,2,3,4,10,0.5\n").lines
    assert (day.starts_ms, day.ends_ms) == (START, START + DAY_MS)


@pytest.mark.parametrize("cost", ["Cost ($)", "Cost to you"])
def test_other_names_of_columns(cost: str) -> None:
    head = OLD.replace("Cost\n", f"{cost}\n").replace("Total Tokens", "Tokens").replace("Kind", "Request Type")
    (said,) = read(SOURCE, f"{head}{AT},On-Demand,gpt-5,No,1,2,3,4,10,0.5\n").lines
    assert (said.billed, said.billed_nanos) == (Billed.METERED, 500_000_000)


def test_plans_by_request() -> None:
    (said,) = read(SOURCE, f"{REQUESTS}{AT},Included,gpt-5,No,,,,,,2.5\n").lines
    assert (said.charge, said.quantity, said.unit) == (Charge.REQUESTS, "2.5", "request units")
    assert (said.usage, said.requests, said.billed_nanos) == (Usage(), 1, 0)


def test_a_cost_that_is_not_told_is_not_zero() -> None:
    said = read(SOURCE, f"{OLD}{AT},On-Demand,gpt-5,No,1,2,3,4,10,\n{AT},Included,gpt-5,No,1,2,3,4,10,\n")
    assert [each.billed_nanos for each in said.lines] == [None, 0]
    assert any(each.startswith("1 rows: metered, and no amount") for each in said.notes)


def test_a_kind_that_is_not_known_is_told() -> None:
    said = read(SOURCE, f"{OLD}{AT},Dreamt,gpt-5,No,1,2,3,4,10,0.5\n")
    assert said.lines[0].billed is Billed.METERED
    assert "1 rows: kind 'Dreamt' is not known: taken as metered" in said.notes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NEW, "it has no rows, so nothing says which days it is about"),
        ("", "line 1: lacks the columns Date"),
        ((NEW + ROWS)[:-30], "line 5: no CSV: unexpected end of data"),
        ((NEW + ROWS).replace("156290", "127948"), "line 2: its classes do not add up to Total Tokens 127948"),
        ((NEW + ROWS).replace("156290", ""), "line 2: its classes do not add up to Total Tokens"),
        ((NEW + ROWS).replace("$0.49", "EUR 3.50"), "line 2: 'EUR 3.50' is no amount in dollars"),
        ((NEW + ROWS).replace("$0.49", "€0.49"), "line 2: '€0.49' is no amount in dollars"),
        ((NEW + ROWS).replace("28342", "28342.0001"), "line 2: '28342.0001' is no whole count"),
        ((NEW + ROWS).replace('"Yes"', '"Sometimes"'), "line 2: 'Sometimes' is neither true nor false"),
        ((NEW + ROWS).replace(AT, "2026-11-20 06:56:12"), "line 2: '2026-11-20 06:56:12' has no time zone"),
        ((NEW + ROWS).replace("Total Tokens", "Sum"), "line 1: lacks the columns Total Tokens"),
        ((NEW + ROWS).replace("Cost\n", "Price\n"), "line 1: lacks the columns Requests"),
        ((NEW + ROWS).encode()[:-1] + b"\xff", "not UTF-8"),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str | bytes, words: str) -> None:
    assert words in faults(SOURCE, text)
