"""Each fault that promises.md section 6 names has its tests here, by name: a guard that is dropped is missed.

Faults of calls and faxes (F52 … F54) come with those channels.
"""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
NO_EFFECT = "test_a_question_that_never_arrived_is_put_again_with_the_same_key"
LOST_ANSWER = "test_an_answer_that_is_lost_is_found_out_and_credited_once"
EVERY_GATEWAY = "test_no_answer_is_unknown_and_the_same_key_finds_out"
ONCE = "test_an_event_and_a_question_at_once_credit_once"
FAULTS = {
    "F15 timeout before accept": [NO_EFFECT, EVERY_GATEWAY, "test_an_unknown_outcome_goes_on_to_no_other_card"],
    "F16 timeout after success": [LOST_ANSWER, EVERY_GATEWAY],
    "F17 500 before effect": [NO_EFFECT, EVERY_GATEWAY],
    "F18 500 after effect": [LOST_ANSWER],
    "F19 reset after headers": [LOST_ANSWER, EVERY_GATEWAY],
    "F20 garbage": [LOST_ANSWER, EVERY_GATEWAY],
    "F21 429": [NO_EFFECT, EVERY_GATEWAY],
    "F22 409 in flight": [NO_EFFECT, EVERY_GATEWAY],
    "F23 soft decline": ["test_a_decline_ends_the_purchase_with_our_word_for_the_banks_reason"],
    "F24 hard decline": ["test_a_decline_ends_the_purchase_with_our_word_for_the_banks_reason"],
    "F25 requires action": [
        "test_the_bank_asks_on_session_and_refuses_off_session",
        "test_a_bank_that_wants_its_cardholder_is_answered_by_the_link_of_the_mail",
    ],
    "F26 processing, then either": ["test_a_payment_may_be_processed_for_days_and_is_credited_only_when_it_is_there"],
    "F27 another amount or currency": [
        "test_another_amount_than_asked_for_is_not_credited_and_told_once",
        "test_another_currency_than_asked_for_is_not_credited",
        "test_less_money_than_was_asked_for_is_said_to_be_less",
    ],
    "F28 key expired": [
        "test_after_the_keys_life_the_gateway_is_asked_what_it_has_and_never_charged_again",
        "test_after_the_life_of_its_key_an_unknown_payment_is_not_asked_again",
    ],
    "F29 replay answers the cached 500": [LOST_ANSWER, "test_the_same_key_takes_once_and_answers_the_same"],
    "F30 look-up misses": ["test_a_lookup_that_misses_is_no_proof_that_nothing_was_charged"],
    "F31 duplicate event": [ONCE, "test_callbacks_in_any_number_and_order_credit_once"],
    "F32 events out of order": ["test_callbacks_in_any_number_and_order_credit_once"],
    "F33 event before the answer": ["test_a_callback_may_come_before_the_answer"],
    "F34 event days late": ["test_an_event_that_comes_days_late_credits_what_nobody_had_heard_of"],
    "F35 event never": [LOST_ANSWER],
    "F36 forged or old": [
        "test_a_forged_or_old_callback_changes_nothing",
        "test_a_callback_says_what_the_answer_said_and_a_forged_one_nothing",
    ],
    "F37 charge and intent events": [ONCE],
    "F38 partial refunds": [
        "test_a_refund_in_parts_is_booked_with_a_credit_note_each",
        "test_latere_a_second_partial_refund_is_no_replay_of_the_first",
        "test_a_refund_takes_the_credits_of_its_part_of_the_price_and_all_parts_take_all",
    ],
    "F39 disputes after the spending": [
        "test_a_dispute_takes_the_credit_and_the_rest_is_owed",
        "test_a_dispute_that_is_won_gives_it_back_and_one_that_is_lost_does_not",
        "test_an_inquiry_takes_nothing_until_it_becomes_a_dispute",
        "test_any_order_and_repetition_comes_to_the_same_end",
    ],
    "F40 event about nobody": ["test_a_callback_about_nobodys_payment_credits_nobody"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_gateways_has_its_tests(fault: str) -> None:
    known = {name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", file.read_text())}
    assert set(FAULTS[fault]) <= known


def test_no_fault_of_gateways_is_left_out() -> None:
    assert [int(fault[1:3]) for fault in FAULTS] == list(range(15, 41))
