"""The worker's rounds over all customers."""

import logging

import pytest

from postmeter.config import worker


def test_a_customer_whose_round_fails_keeps_no_other_one_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker.customers, "every_customer", lambda: [1, 2, 3])
    served = []

    def work(customer_id: int) -> None:
        served.append(customer_id)
        if customer_id == 1:
            raise ValueError("a broken row")

    with caplog.at_level(logging.ERROR, "postmeter.worker"):
        assert worker.for_each_customer(work, "months") == 0
    assert served == [1, 2, 3]
    assert "months of customer 1 failed" in caplog.text
