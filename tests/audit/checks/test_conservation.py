"""The accounts of participants: money by currency, goods by product, and other steps by count."""

from dataclasses import replace

from app.audit.check import check
from app.audit.checks.conservation import Account
from app.audit.report.report import Report
from tests.audit.case import Case
from tests.audit.runs import SCENARIOS, good_run
from tests.audit.sagas import SPEC
from tests.audit.topic_logs import TopicLogs

GOOD = good_run()


def accounts_of(report: Report) -> dict[str, Account]:
    """The account of each participant, by step name."""
    return {step.name: account for step, account in report.totals.accounts.items()}


def test_money_and_goods_are_summed_by_effect() -> None:
    """A repeated reply moves its money once; a refund without a charge moves none."""
    accounts = accounts_of(check(GOOD, SPEC))
    money, goods = accounts["payment"], accounts["reservation"]
    assert money.moved == {"EUR": 19632}
    assert money.returned == {"EUR": 4021}
    assert money.settled_by_operator == {"EUR": 2017}
    assert money.held == {"EUR": 1006}
    assert money.completed == {"EUR": 12588}
    assert goods.held == {"sku-refund_stuck-6": 1, "sku-notice_stuck-6": 1}
    assert all(account.balanced for account in accounts.values())


def test_steps_without_money_or_goods_are_counted() -> None:
    """A step whose command has no amount counts once per order. A step that an operator skipped does not count."""
    accounts = accounts_of(check(GOOD, SPEC))
    assert accounts["shipping"].moved == {"shipping": 5}
    assert (accounts["shipping"].completed, accounts["shipping"].held) == ({"shipping": 4}, {"shipping": 1})
    assert accounts["notice"].moved == accounts["notice"].completed == {"notice": 5}


def test_currencies_are_not_mixed() -> None:
    """Each currency is summed by itself."""
    logs = TopicLogs()
    for scenario in SCENARIOS[:2]:
        scenario(Case(logs, scenario.__name__))
    dollars = tuple(replace(r, value=(r.value or b"").replace(b'"EUR"', b'"USD"')) for r in logs.recording().records)
    good = replace(GOOD, records=(*GOOD.records, *dollars))
    assert set(accounts_of(check(good, SPEC, settled=False))["payment"].moved) == {"EUR", "USD"}
