"""The failure catalogue: what can go wrong, and the tests that stand for it. Rows without a test say why."""

from tests.faults.found import FOUND
from tests.faults.holes import HOLES
from tests.faults.library import LIBRARY
from tests.faults.rows import Row, row

_MESSAGES = "saga.test_catalogue_messages"
_NO_READ_SIDE = "there is no read side yet"
_MATRIX = "faults.test_matrix"
_KILLS = f"{_MATRIX}::test_pods_die_at_any_point_and_nothing_is_lost_or_done_twice"
_PAUSES = f"{_MATRIX}::test_pods_that_sleep_through_their_session_commit_nothing_when_they_wake"
_TIMERS = f"{_MATRIX}::test_a_pod_that_wakes_with_time_outs_that_another_saw_to_commits_nothing"
_BROKERS = f"{_MATRIX}::test_brokers_and_links_fail_and_all_goes_on_by_itself"
_LOSS = "faults.test_loss::test_work_decided_before_a_loss_is_not_committed_after_it"

_BUSINESS = {
    "1": row("reply lost", f"{_MESSAGES}::test_4a_01_reply_lost_is_asked_for_again_and_then_undone"),
    "2": row("reply doubled", f"{_MESSAGES}::test_4a_02_reply_duplicated_is_recorded_and_sends_nothing"),
    "3": row(
        "reply late",
        f"{_MESSAGES}::test_4a_03_reply_late_after_timeout_and_retry_counts_if_it_is_still_awaited "
        "test_4a_03_reply_late_after_its_step_was_given_up_is_ignored",
    ),
    "4": row("replies out of order", f"{_MESSAGES}::test_4a_04_replies_out_of_order_skip_no_step"),
    "5": row("contradictory replies", f"{_MESSAGES}::test_4a_05_contradictory_replies_the_first_one_wins"),
    "6": row("reply for an unknown order", f"{_MESSAGES}::test_4a_06_reply_for_an_unknown_order_is_a_dead_letter"),
    "7": row("reply after completion", f"{_MESSAGES}::test_4a_07_reply_after_completion_is_ignored"),
    "8": row(
        "payment succeeds after its undoing began",
        f"{_MESSAGES}::test_4a_08_payment_succeeded_after_its_compensation_began_is_refunded_once",
    ),
    "9": row(
        "reservation succeeds after its release was sent",
        f"{_MESSAGES}::test_4a_09_reservation_succeeded_after_its_release_was_sent_changes_nothing",
    ),
    "10": row(
        "undoing fails for ever",
        f"{_MESSAGES}::test_4a_10_compensation_failing_forever_gets_stuck test_4a_10_compensation_rejected_gets_stuck",
    ),
    "11": row("reply to an undo lost", f"{_MESSAGES}::test_4a_11_compensation_reply_lost_is_asked_for_again"),
    "12": row(
        "undo before its do",
        f"{_MESSAGES}::test_4a_12_compensation_may_arrive_before_its_action",
        "samples.test_desk::test_an_undo_before_its_do_bars_it",
    ),
    "13": row("order twice", f"{_MESSAGES}::test_4a_13_order_twice_with_the_same_payload_is_one_saga"),
    "14": row("order twice, and different", f"{_MESSAGES}::test_4a_14_order_twice_with_another_payload_is_a_conflict"),
    "15": row(
        "an id that comes again",
        f"{_MESSAGES}::test_4a_15_order_id_is_known_as_long_as_it_is_remembered",
        "broker.test_time::test_4a_15_an_ended_order_is_remembered_for_its_time_and_then_forgotten",
    ),
    "16": row(
        "cancel before, between and at the end",
        f"{_MESSAGES}::test_4a_16_cancel_before_any_step_sends_nothing "
        "test_4a_16_cancel_mid_step_undoes_what_is_in_doubt "
        "test_4a_16_cancel_racing_completion_is_decided_by_which_comes_first",
        "broker.test_people::test_4a_16_cancel_racing_the_last_reply_is_decided_by_the_partition",
    ),
    "17": row(
        "cancel twice, or of nothing",
        f"{_MESSAGES}::test_4a_17_cancel_twice_is_answered_and_changes_nothing "
        "test_4a_17_cancel_of_an_unknown_order_is_a_dead_letter",
        "broker.test_people::test_4a_16_4a_17_cancel_before_in_between_and_after_steps_twice_and_of_nothing",
    ),
    "18": row(
        "odd amounts",
        f"{_MESSAGES}::test_4a_18_amounts_outside_the_limits_are_refused_at_the_edge "
        "test_4a_18_an_amount_of_nothing_is_an_amount test_4a_18_an_amount_in_a_reply_changes_no_amount",
    ),
    "19": row("partial answers", f"{_MESSAGES}::test_4a_19_a_partial_answer_is_never_taken_as_done"),
    "20": row(
        "operators and replies at the same time",
        f"{_MESSAGES}::test_4a_20_operator_racing_a_reply_is_decided_by_which_comes_first",
        "broker.test_people::test_4a_20_operators_racing_a_reply_are_decided_by_the_partition",
    ),
}

_HOSTILE_RECORD = "engine.test_hostile::test_a_hostile_record_is_one_dead_letter_and_its_neighbours_are_decided"
_WHATEVER = "fuzz.test_turns::test_whatever_comes_is_one_whole_result"
_ABUSE = {
    "21": row(
        "no JSON object", "wire.test_strict::test_what_is_no_json_object_is_malformed", _HOSTILE_RECORD, _WHATEVER
    ),
    "22": row(
        "wrong fields and types",
        "wire.test_reader::test_each_field_is_needed test_unknown_fields_are_ignored",
        _HOSTILE_RECORD,
        _WHATEVER,
    ),
    "23": row(
        "odd numbers, members twice",
        "wire.test_strict::test_a_member_twice_is_malformed test_a_number_that_is_none_is_malformed",
        _HOSTILE_RECORD,
    ),
    "24": row(
        "depth and size",
        "wire.test_strict::test_a_deep_value_is_refused_before_it_is_parsed "
        "test_a_value_too_large_is_refused_before_it_is_parsed",
        "fuzz.test_bounds::test_what_is_too_large_is_not_looked_into test_what_is_as_large_as_it_may_be_takes_little",
    ),
    "25": row(
        "odd text",
        "wire.test_strict::test_text_that_is_none_is_malformed",
        "audit.test_totals::test_a_strangers_words_are_nothing_that_a_terminal_obeys",
    ),
    "26": row(
        "odd keys",
        "engine.test_turns::test_a_key_that_is_missing_is_wrong test_a_stray_is_sent_on_once",
        "engine.test_hostile::test_a_stray_is_sent_on_once_as_it_was",
        _WHATEVER,
    ),
    "27": row("tombstones among the inputs", _HOSTILE_RECORD, "fuzz.test_bounds::test_a_tombstone_deletes_nothing"),
    "28": row(
        "odd headers",
        "wire.test_envelope::test_forged_headers_do_no_harm test_ten_thousand_headers_do_no_harm",
        "engine.test_hostile::test_a_header_whose_name_is_no_text_stops_nothing",
        "fuzz.test_bounds::test_headers_take_little",
    ),
    "29": row(
        "injections",
        "wire.test_hostile::test_markup_and_formulas_are_text",
        "audit.test_totals::test_a_strangers_words_are_nothing_that_a_terminal_obeys",
        without="there is no page, and no SQL, yet",
    ),
    "30": row(
        "floods",
        "engine.test_lives::test_reading_ahead_is_bounded_in_bytes test_the_client_reads_ahead_no_more_than_it_must",
        "fuzz.test_bounds::test_a_flood_of_orphans_leaves_nothing "
        "test_a_flood_of_orders_leaves_nothing_once_they_are_forgotten",
        "wire.test_dead_letters::test_a_dead_letter_fits_into_a_topic",
        without="quotas are the brokers'",
    ),
    "31": row("odd timestamps", "engine.test_largest::test_the_times_of_records_stop_and_hurry_nothing"),
    "32": row(
        "oversize output or state",
        "wire.test_dead_letters::test_a_dead_letter_fits_into_a_topic",
        "engine.test_largest::test_the_largest_of_everything_is_written",
        "fuzz.test_sizes::test_nothing_is_too_large_to_be_written",
    ),
}

_TIME = {
    "33": row(
        "due while nobody was there",
        "broker.test_time::test_4c_33_due_during_downtime_fires_once_after_what_came_meanwhile_was_read",
    ),
    "34": row(
        "due while partitions change hands",
        "broker.test_time::test_4c_34_timers_fire_once_though_pods_are_killed "
        "test_4c_34_timers_fire_once_though_partitions_change_hands",
        "faults.test_loss::test_a_batch_of_due_times_alone_is_not_committed_after_a_loss",
    ),
    "35": row(
        "a reply and its time-out together",
        "saga.test_catalogue_time::test_4c_35_reply_and_its_timeout_together_the_reply_first "
        "test_4c_35_reply_and_its_timeout_together_the_timeout_first",
    ),
    "36": row(
        "clocks jump",
        "engine.test_clock::test_4c_36_a_jump_bends_a_time_out_by_a_tenth_at_most "
        "test_4c_36_a_skewed_pod_takes_one_attempt_short_at_most",
    ),
    "37": row(
        "very many are due at once",
        "broker.test_expiry::test_4c_37_a_mass_of_due_times_stalls_nobody test_4c_37_what_expired_in_a_mass_ends_well",
    ),
    "38": row(
        "timers of finished sagas", "saga.test_catalogue_time::test_4c_38_timers_of_a_finished_saga_come_to_nothing"
    ),
}

_SURROUNDINGS = {
    "39": row("kill -9 at each point", _KILLS),
    "40": row("an error at each point", "simulation.test_worlds::test_every_law_holds_in_every_world"),
    "41": row(
        "a process stands still, and goes on after others took over",
        _PAUSES,
        _TIMERS,
        _LOSS,
        "faults.test_loss::test_a_batch_of_due_times_alone_is_not_committed_after_a_loss",
        "faults.test_retried_commit::test_a_pod_that_lost_its_partitions_ends_with_a_commit_under_way",
    ),
    "42": row("a decision takes longer than a poll may", _LOSS),
    "43": row(
        "two pods of one name",
        "engine.test_lives::test_a_second_process_of_the_same_name_ends_the_first",
        "engine.test_lanes::test_the_next_life_of_a_pod_ends_what_this_one_left_open",
    ),
    "44": row("brokers restart", _BROKERS, without="each role, and rolling restarts: `make faults`"),
    "45": row(
        "too few replicas, or no broker",
        "engine.test_lanes::test_no_coordinator_is_told",
        without="all brokers killed: `make faults`",
    ),
    "46": row(
        "the network between a pod and a broker",
        _BROKERS,
        "faults.test_retried_commit::test_a_commit_that_was_sent_twice_does_not_end_the_next_transaction",
        "faults.test_lost_commits::test_a_commit_of_unknown_outcome_ends_the_process_and_is_tried_once",
        without="slow, breaking and silent links: `make faults`",
    ),
    "47": row(
        "a late marker on the changelog",
        "engine.test_restore::test_the_last_committed_transaction_is_waited_for",
        _BROKERS,
    ),
    "48": row(
        "an input's writer leaves a transaction open",
        "faults.test_inputs::test_an_input_that_an_open_transaction_holds_back_is_told",
    ),
    "49": row("a storm of rebalances", _KILLS, without="pods coming and going: `make faults`"),
    "50": row(
        "versions side by side, and back",
        "broker.test_definitions::test_sagas_under_way_keep_their_version_over_deploys",
        "engine.test_guards::test_sagas_under_way_in_a_version_that_is_gone_are_refused "
        "test_a_changelog_with_a_document_that_is_no_sagas_is_refused",
    ),
    "51": row(
        "more partitions",
        "faults.test_inputs::test_an_input_with_more_partitions_than_the_others_is_refused "
        "test_more_partitions_of_all_topics_are_refused",
        "engine.test_topics::test_unequal_numbers_of_partitions_are_refused",
    ),
    "52": row(
        "a topic is missing, deleted or made anew",
        "engine.test_topics::test_missing_topics_are_refused",
        "engine.test_command::test_a_pod_without_topics_says_how_to_make_them",
        "engine.test_guards::test_an_input_that_was_made_anew_is_refused",
        "faults.test_inputs::test_an_input_that_is_deleted_ends_the_pod "
        "test_a_record_that_the_broker_refuses_ends_the_pod",
    ),
    "53": row(
        "a permission is missing",
        "security.test_permissions::test_4d_53_a_missing_permission_is_named "
        "test_4d_53_a_pod_that_loses_a_permission_ends test_4d_53_a_pod_that_may_not_join_its_group_says_so "
        "test_the_least_is_enough_to_start test_an_order_goes_its_way_with_the_least_permissions",
    ),
    "54": row(
        "certificates and passwords",
        "security.test_entry::test_what_keeps_somebody_out_is_told test_everybody_is_told_of_a_wrong_password "
        "test_a_missing_certificate_is_told",
        "security.test_permissions::test_4d_54_a_pod_whose_password_was_changed_ends",
        without="how many days are left to a certificate is told by nobody yet",
    ),
    "55": row(
        "the group's offsets expire, are deleted or set",
        "engine.test_guards::test_a_changelog_without_a_group_is_refused "
        "test_an_input_whose_offset_was_lost_is_refused",
        "faults.test_inputs::test_the_offsets_of_a_group_that_runs_cannot_be_deleted "
        "test_an_offset_that_was_set_by_hand_is_told",
        "faults.test_again::test_what_was_decided_is_not_decided_again",
    ),
    "56": row(
        "retention overtakes the group",
        "engine.test_guards::test_an_input_whose_records_were_deleted_is_refused",
        "faults.test_inputs::test_records_that_are_deleted_before_they_are_read_end_the_pod",
    ),
}

_DISK = {
    "57": row("the volume is lost", "faults.test_storage::test_a_lost_or_old_disk_is_caught_up_with", _KILLS),
    "58": row(
        "an old copy of the volume",
        "faults.test_storage::test_a_lost_or_old_disk_is_caught_up_with",
        "faults.test_folders::test_an_old_snapshot_is_made_anew_however_new_its_files_are "
        "test_what_is_restored_is_as_old_as_it_was_until_all_is_there "
        "test_the_state_of_another_partition_is_not_taken_over",
    ),
    "59": row(
        "broken files, full disks",
        "faults.test_files::test_whatever_happens_to_a_file_the_state_is_right_or_made_anew "
        "test_files_that_hold_no_state_may_be_damaged test_a_copy_of_a_store_in_use_lacks_nothing_in_the_middle "
        "test_a_log_of_another_time_than_the_list_of_files_is_noticed test_a_list_of_files_that_was_cut_is_noticed",
        "faults.test_folders::test_a_full_disk_ends_the_life_that_meets_it_and_nothing_is_lost "
        "test_a_disk_that_turns_read_only_ends_the_life_and_stops_the_next_one "
        "test_a_folder_that_is_removed_under_a_life_is_made_anew",
        "faults.test_storage::test_a_full_disk_ends_a_pod_with_a_sentence_and_it_goes_on_when_there_is_room",
        "engine.test_store::test_a_flipped_bit_ends_the_life_that_meets_it",
    ),
    "60": row(
        "the changelog is cut, made anew or kept otherwise",
        "engine.test_guards::test_events_without_a_changelog_are_refused "
        "test_a_local_store_ahead_of_its_changelog_is_refused test_state_of_a_changelog_that_was_made_anew_is_dropped",
        "engine.test_topics::test_a_changelog_that_deletes_is_refused",
        "faults.test_inputs::test_a_changelog_that_was_cut_is_refused",
    ),
    "61": row(
        "the changelog's end is compacted",
        "engine.test_restore::test_what_was_aborted_is_left_out",
        without="see 2.4",
    ),
    "62": row(
        "killed for its memory",
        "engine.test_store::test_the_cache_is_bounded",
        "engine.test_lives::test_reading_ahead_is_bounded_in_bytes",
        "engine.test_lives::test_the_client_reads_ahead_no_more_than_it_must",
    ),
}

_LOAD = {
    "63": row(
        "a hot key or partition",
        "engine.test_duties::test_busy_partitions_are_left_alone",
        "simulation.test_judge::test_without_a_bug_nothing_is_found",
        without="what one order's partition costs the others is measured by nobody yet",
    ),
    "64": row(
        "a backlog after an outage",
        "broker.test_time::test_4c_33_due_during_downtime_fires_once_after_what_came_meanwhile_was_read",
        "engine.test_time::test_an_answer_that_came_while_the_pod_was_down_beats_its_timeout",
        without="how fast it is drained: `make bench`",
    ),
    "65": row(
        "a participant is slow or down",
        "broker.test_outage::test_an_outage_is_neither_flooded_nor_the_reason_of_any_undo "
        "test_a_participant_that_fails_is_spared_until_it_works_again",
        "saga.test_failures::test_65_a_participant_that_is_down_is_not_flooded",
    ),
    "66": row("a slow reader of events, rebuilt while others write", without=_NO_READ_SIDE),
    "67": row("a reader sees events twice, or not all", without=_NO_READ_SIDE),
    "68": row(
        "an event is altered, deleted, moved or added",
        "audit.test_every_record::test_every_field_of_a_value_counts test_a_missing_record_is_missed",
        "audit.test_mutants::test_all_mutants_are_caught",
        without="found by judging all topics together; events carry no chain of hashes",
    ),
    "69": row(
        "messages grow",
        "wire.test_reader::test_unknown_fields_are_ignored test_a_type_nobody_knows",
        "wire.test_schemas::test_a_schema_leaves_room",
    ),
    "70": row("reads behind their writes", without=_NO_READ_SIDE),
}

CATALOGUE: dict[str, Row] = {
    **_BUSINESS, **_ABUSE, **_TIME, **_SURROUNDINGS, **_DISK, **_LOAD, **HOLES, **LIBRARY, **FOUND,
}  # fmt: skip
