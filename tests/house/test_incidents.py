"""Each incident that promises.md names has its test here, by name: a guard that is dropped is missed (Lago #6175)."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# What happened to others, and the tests that fail if it happens here.
INCIDENTS = {
    "Twilio, 18 July 2013": [
        "test_twilio_2013_balances_that_were_lost_charge_nobody",
        "test_twilio_2013_a_store_that_cannot_be_written_charges_nobody",
        "test_a_thousand_parallel_debits_across_the_threshold_are_one_charge_each_round",
        "test_the_first_payment_of_another_amount_stops_everybodys_automatic_top_up",
    ],
    "Lago #1962": ["test_lago_1962_and_autumn_3332_a_top_up_that_is_processed_for_days_is_not_made_again"],
    "Lago #6103": ["test_too_many_automatic_charges_in_an_hour_open_it"],
    "Lago #6177": ["test_one_charge_closes_the_whole_gap"],
    "Lago #6176": ["test_openstory_1337_and_lago_6176_a_declined_card_is_not_hammered"],
    "Lago #5992": ["test_a_rule_that_could_never_charge_is_refused_when_it_is_saved"],
    "Lago #6175": ["test_every_incident_has_its_tests"],
    "akash #3660, #3756": ["test_akash_3660_a_failure_keeps_its_claim_however_often_its_job_is_repeated"],
    "akash #3809": ["test_a_bank_that_wants_the_cardholder_pauses_it_at_once"],
    "openstory #1337": ["test_openstory_1337_and_lago_6176_a_declined_card_is_not_hammered"],
    "chipotle #447, #448": ["test_chipotle_447_the_cap_is_exact_however_many_look_at_once"],
    "autumn #3332": ["test_lago_1962_and_autumn_3332_a_top_up_that_is_processed_for_days_is_not_made_again"],
    "pretix #1189, dust #18236, FormSG #6022": [
        "test_a_callback_may_come_before_the_answer",
        "test_a_callback_about_nobodys_payment_credits_nobody",
    ],
    "frappe/press #1175": ["test_frappe_1175_a_callback_that_is_repeated_by_many_at_once_credits_once"],
    "LibreChat #13812": ["test_librechat_13812_an_effect_that_failed_is_not_marked_as_done"],
    "Lago #3228": ["test_callbacks_in_any_number_and_order_credit_once"],
    "latere-ai/pay": [
        "test_latere_a_second_partial_refund_is_no_replay_of_the_first",
        "test_an_inquiry_takes_nothing_until_it_becomes_a_dispute",
    ],
    "playSMS #502, #522": ["test_five_hundred_at_once_with_credit_for_123_are_exactly_123"],
    "ivozprovider #703": ["test_a_hold_is_charged_at_most_once_and_gives_back_the_rest"],
    "eliza #22681": ["test_a_line_that_would_misprice_is_refused", "test_a_charge_above_its_hold_is_refused"],
    "hyperswitch #11491": [
        "test_hyperswitch_11491_a_refund_of_nothing_less_or_more_than_was_paid_moves_nothing",
        "test_hyperswitch_11491_the_same_refund_heard_by_many_at_once_is_booked_once",
    ],
    "PrestaShop #28757 and others": [
        "test_a_thousand_invoices_at_once_have_no_gap_and_no_twin_though_some_abort_and_some_are_killed"
    ],
    "VA notify #1294 and others": ["test_any_order_and_any_repetition_comes_to_the_same_end"],
    "episphere #1545": ["test_a_block_by_the_provider_opts_out_once_and_its_repeat_takes_back_no_start"],
}


@pytest.mark.parametrize("incident", INCIDENTS)
def test_every_incident_has_its_tests(incident: str) -> None:
    known = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", file.read_text())}
    assert set(INCIDENTS[incident]) <= known
