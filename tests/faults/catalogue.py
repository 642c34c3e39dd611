"""The failure catalogue: what can go wrong, and the tests that cover it. A row without a test says why in its note."""

from tests.faults.found import FOUND
from tests.faults.holes import HOLES
from tests.faults.library import LIBRARY
from tests.faults.rows import Row, row

_MESSAGES = "saga.test_catalogue_messages"
_NO_READ_SIDE = "there is no read side yet"
_MATRIX = "faults.test_matrix"
_KILLS = f"{_MATRIX}::test_pods_killed_at_any_point_lose_and_repeat_nothing"
_PAUSES = f"{_MATRIX}::test_pods_paused_beyond_their_session_commit_nothing_when_resumed"
_TIMERS = f"{_MATRIX}::test_a_pod_resumed_with_timers_that_another_fired_commits_nothing"
_BROKERS = f"{_MATRIX}::test_pods_recover_by_themselves_from_broker_and_network_faults"
_LOSS = "faults.test_loss::test_a_batch_decided_before_a_loss_is_not_committed_after_it"

_BUSINESS = {
    "1": row("reply lost", f"{_MESSAGES}::test_4a_01_reply_lost_is_requested_again_and_then_undone"),
    "2": row("reply duplicated", f"{_MESSAGES}::test_4a_02_reply_duplicated_is_recorded_and_sends_nothing"),
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
        "payment succeeds after its compensation began",
        f"{_MESSAGES}::test_4a_08_payment_succeeded_after_its_compensation_began_is_refunded_once",
    ),
    "9": row(
        "reservation succeeds after its release was sent",
        f"{_MESSAGES}::test_4a_09_reservation_succeeded_after_its_release_was_sent_changes_nothing",
    ),
    "10": row(
        "compensation fails for ever",
        f"{_MESSAGES}::test_4a_10_compensation_failing_forever_gets_stuck test_4a_10_compensation_rejected_gets_stuck",
    ),
    "11": row("reply to a compensation lost", f"{_MESSAGES}::test_4a_11_compensation_reply_lost_is_requested_again"),
    "12": row(
        "compensation arrives before its action",
        f"{_MESSAGES}::test_4a_12_compensation_may_arrive_before_its_action",
        "samples.participant.test_command_handler::test_an_undo_before_its_do_bars_it",
    ),
    "13": row("order placed twice", f"{_MESSAGES}::test_4a_13_order_twice_with_the_same_payload_is_one_saga"),
    "14": row(
        "order placed twice with different payloads",
        f"{_MESSAGES}::test_4a_14_order_twice_with_another_payload_is_a_conflict",
    ),
    "15": row(
        "order id reused",
        f"{_MESSAGES}::test_4a_15_order_id_is_known_as_long_as_it_is_remembered",
        "broker.test_timers::test_4a_15_an_ended_order_is_retained_and_then_forgotten",
    ),
    "16": row(
        "cancel before, between and after steps",
        f"{_MESSAGES}::test_4a_16_cancel_before_any_step_sends_nothing "
        "test_4a_16_cancel_mid_step_undoes_what_is_in_doubt "
        "test_4a_16_cancel_racing_completion_is_decided_by_which_comes_first",
        "broker.test_operators::test_4a_16_cancel_racing_the_last_reply_is_decided_by_log_order",
    ),
    "17": row(
        "cancel sent twice, or for an unknown order",
        f"{_MESSAGES}::test_4a_17_cancel_twice_is_answered_and_changes_nothing "
        "test_4a_17_cancel_of_an_unknown_order_is_a_dead_letter",
        "broker.test_operators::test_4a_16_4a_17_cancel_before_between_and_after_steps_twice_and_of_an_unknown_order",
    ),
    "18": row(
        "amounts at or outside the limits",
        f"{_MESSAGES}::test_4a_18_amounts_outside_the_limits_are_refused_at_the_edge "
        "test_4a_18_an_amount_of_nothing_is_an_amount test_4a_18_an_amount_in_a_reply_changes_no_amount",
    ),
    "19": row("partial replies", f"{_MESSAGES}::test_4a_19_a_partial_answer_is_never_taken_as_done"),
    "20": row(
        "an operation races a reply",
        f"{_MESSAGES}::test_4a_20_operator_racing_a_reply_is_decided_by_which_comes_first",
        "broker.test_operators::test_4a_20_operators_racing_a_reply_are_decided_by_log_order",
    ),
}

_HOSTILE_RECORD = (
    "engine.runtime.test_hostile_records::test_a_hostile_record_is_one_dead_letter_and_its_neighbours_are_decided"
)
_FUZZED_RECORD = "fuzz.test_mangled_messages::test_a_mangled_message_has_one_complete_result"
_ABUSE = {
    "21": row(
        "the value is not a JSON object",
        "wire.test_strict_json::test_a_value_other_than_a_json_object_is_malformed",
        _HOSTILE_RECORD,
        _FUZZED_RECORD,
    ),
    "22": row(
        "missing or unknown fields, wrong types",
        "wire.test_reader::test_each_field_is_required test_unknown_fields_are_ignored",
        _HOSTILE_RECORD,
        _FUZZED_RECORD,
    ),
    "23": row(
        "invalid numbers, duplicate members",
        "wire.test_strict_json::test_a_member_twice_is_malformed test_an_invalid_number_is_malformed",
        _HOSTILE_RECORD,
    ),
    "24": row(
        "values nested too deeply, or too large",
        "wire.test_strict_json::test_a_deep_value_is_refused_before_it_is_parsed "
        "test_a_value_too_large_is_refused_before_it_is_parsed",
        "fuzz.test_bounds::test_a_record_that_is_too_large_is_not_parsed test_the_largest_allowed_record_takes_little",
    ),
    "25": row(
        "invalid text, terminal control sequences",
        "wire.test_strict_json::test_invalid_text_is_malformed",
        "audit.report.test_report_text::test_a_strangers_text_is_escaped",
    ),
    "26": row(
        "missing, wrong or misrouted keys",
        "engine.test_processor::test_a_missing_key_is_wrong test_a_misrouted_record_is_sent_on_once",
        "engine.runtime.test_hostile_records::test_a_misrouted_record_is_sent_on_once_unchanged",
        _FUZZED_RECORD,
    ),
    "27": row("tombstones on input topics", _HOSTILE_RECORD, "fuzz.test_bounds::test_a_tombstone_deletes_nothing"),
    "28": row(
        "forged, invalid or very many headers",
        "wire.test_envelope::test_forged_headers_do_no_harm test_ten_thousand_headers_do_no_harm",
        "engine.runtime.test_hostile_records::test_a_header_name_that_is_not_utf8_stops_nothing",
        "fuzz.test_bounds::test_large_headers_take_little",
    ),
    "29": row(
        "injected markup and formulas",
        "wire.test_hostile::test_markup_and_formulas_are_text",
        "audit.report.test_report_text::test_a_strangers_text_is_escaped",
        note="there is no web page and no SQL yet",
    ),
    "30": row(
        "floods of records",
        "engine.runtime.test_pod_lives::test_reading_ahead_is_bounded_in_bytes "
        "test_the_client_reads_ahead_no_more_than_it_must",
        "fuzz.test_bounds::test_a_flood_for_unknown_orders_leaves_nothing "
        "test_a_flood_of_orders_leaves_nothing_once_they_expire",
        "wire.test_dead_letters::test_a_dead_letter_fits_into_a_topic",
        note="quotas are left to the brokers",
    ),
    "31": row(
        "record timestamps far in the past or in the future",
        "engine.runtime.test_largest_records::test_the_timestamps_of_records_change_nothing",
    ),
    "32": row(
        "output or state larger than a record may be",
        "wire.test_dead_letters::test_a_dead_letter_fits_into_a_topic",
        "engine.runtime.test_largest_records::test_the_largest_of_everything_is_written",
        "fuzz.test_sizes::test_nothing_is_too_large_to_be_written",
    ),
}

_TIME = {
    "33": row(
        "timers become due while no pod runs",
        "broker.test_timers::test_4c_33_timers_due_during_downtime_fire_once_after_the_backlog_is_read",
    ),
    "34": row(
        "timers become due during a rebalance",
        "broker.test_timers::test_4c_34_timers_fire_once_although_pods_are_killed "
        "test_4c_34_timers_fire_once_across_rebalances",
        "faults.test_loss::test_a_timer_only_batch_is_not_committed_after_a_loss",
    ),
    "35": row(
        "a reply and its time-out arrive together",
        "saga.test_catalogue_time::test_4c_35_reply_and_its_timeout_together_the_reply_first "
        "test_4c_35_reply_and_its_timeout_together_the_timeout_first",
    ),
    "36": row(
        "clocks jump, or differ between pods",
        "engine.runtime.test_clock::test_4c_36_a_jump_shifts_a_timeout_by_a_tenth_at_most "
        "test_4c_36_clock_skew_shortens_one_attempt_at_most",
    ),
    "37": row(
        "very many timers are due at once",
        "broker.test_expiry::test_4c_37_a_mass_of_due_timers_delays_no_new_order "
        "test_4c_37_orders_that_expire_in_a_mass_are_rolled_back_once",
    ),
    "38": row("timers of ended sagas", "saga.test_catalogue_time::test_4c_38_timers_of_a_finished_saga_change_nothing"),
}

_ENVIRONMENT = {
    "39": row("a pod is killed (kill -9) at any point", _KILLS),
    "40": row("an error is raised at any point", "simulation.test_worlds::test_every_invariant_holds_in_every_world"),
    "41": row(
        "a pod is paused, and resumes after others took over",
        _PAUSES,
        _TIMERS,
        _LOSS,
        "faults.test_loss::test_a_timer_only_batch_is_not_committed_after_a_loss",
        "faults.test_retried_commit::test_a_pod_that_lost_its_partitions_ends_with_a_commit_in_flight",
    ),
    "42": row("deciding takes longer than max.poll.interval.ms", _LOSS),
    "43": row(
        "two pods with the same instance id",
        "engine.runtime.test_pod_lives::test_a_second_process_of_the_same_name_ends_the_first",
        "engine.kafka.test_transactions::test_the_next_start_of_a_pod_aborts_and_fences_the_former_one",
    ),
    "44": row(
        "brokers are killed or restarted", _BROKERS, note="each broker role, and rolling restarts: `make faults`"
    ),
    "45": row(
        "too few in-sync replicas, or no broker at all",
        "engine.kafka.test_transactions::test_a_missing_coordinator_is_reported",
        note="all brokers killed: `make faults`",
    ),
    "46": row(
        "network faults between a pod and a broker",
        _BROKERS,
        "faults.test_retried_commit::test_a_retried_commit_does_not_end_the_next_transaction",
        "faults.test_lost_commits::test_a_commit_of_unknown_outcome_stops_the_process_and_is_not_retried",
        note="slow, broken and silent links: `make faults`",
    ),
    "47": row(
        "a transaction marker on the changelog is late",
        "engine.state.test_changelog_reader::test_the_last_committed_transaction_is_waited_for",
        _BROKERS,
    ),
    "48": row(
        "a producer leaves a transaction open on an input",
        "faults.test_inputs::test_an_input_stalled_by_an_open_transaction_is_logged",
    ),
    "49": row("a rebalance storm", _KILLS, note="pods joining and leaving: `make faults`"),
    "50": row(
        "saga versions side by side, and a rollback of a deployment",
        "broker.test_definitions::test_active_sagas_keep_their_version_across_deployments",
        "engine.assignment.test_start_guards::test_live_sagas_of_an_unknown_version_are_refused "
        "test_a_changelog_with_an_unknown_document_is_refused",
    ),
    "51": row(
        "partitions are added",
        "faults.test_inputs::test_an_input_with_more_partitions_than_the_others_is_refused "
        "test_adding_partitions_to_all_topics_is_refused",
        "engine.kafka.test_topics_admin::test_unequal_partition_counts_are_refused",
    ),
    "52": row(
        "a topic is missing, deleted or recreated",
        "engine.kafka.test_topics_admin::test_missing_topics_are_refused",
        "engine.test_command::test_a_pod_without_topics_says_how_to_create_them",
        "engine.assignment.test_start_guards::test_a_recreated_input_is_refused",
        "faults.test_inputs::test_a_deleted_input_stops_the_pod test_a_record_refused_by_the_broker_stops_the_pod",
    ),
    "53": row(
        "a permission is missing or revoked",
        "security.test_permissions::test_4d_53_a_missing_permission_is_named "
        "test_4d_53_a_pod_that_loses_a_permission_ends test_4d_53_a_pod_that_may_not_join_its_group_says_so "
        "test_the_least_is_enough_to_start test_orders_complete_with_the_least_permissions",
    ),
    "54": row(
        "wrong or changed certificates and passwords",
        "security.test_entry::test_the_cause_of_a_rejection_is_named test_every_command_names_a_wrong_password "
        "test_a_missing_client_certificate_is_named",
        "security.test_permissions::test_4d_54_a_pod_whose_password_was_changed_ends",
        note="nothing reports yet when a certificate expires",
    ),
    "55": row(
        "the group's offsets expire, are deleted, or are set by hand",
        "engine.assignment.test_start_guards::test_a_changelog_without_a_group_is_refused "
        "test_an_input_whose_offset_was_lost_is_refused",
        "faults.test_inputs::test_offsets_of_an_active_group_cannot_be_deleted test_an_offset_set_by_hand_is_logged",
        "faults.test_replayed_inputs::test_replayed_inputs_change_nothing",
    ),
    "56": row(
        "retention deletes records before the group reads them",
        "engine.assignment.test_start_guards::test_an_input_whose_records_were_deleted_is_refused",
        "faults.test_inputs::test_records_deleted_before_they_are_read_stop_the_pod",
    ),
}

_DISK = {
    "57": row(
        "the volume is lost", "faults.test_storage::test_a_lost_or_old_disk_is_restored_from_the_changelog", _KILLS
    ),
    "58": row(
        "the volume is an old snapshot",
        "faults.test_storage::test_a_lost_or_old_disk_is_restored_from_the_changelog",
        "faults.test_folders::test_an_old_snapshot_is_rebuilt_even_if_its_files_are_new "
        "test_a_partial_restore_does_not_make_old_state_look_new "
        "test_the_state_of_another_partition_is_not_used",
    ),
    "59": row(
        "damaged files, full or read-only disks",
        "faults.test_files::test_a_damaged_file_is_never_taken_for_valid_state "
        "test_files_that_hold_no_state_may_be_damaged test_a_copy_of_a_store_in_use_has_no_gaps "
        "test_a_write_ahead_log_newer_than_the_manifest_is_noticed test_a_truncated_manifest_is_noticed",
        "faults.test_folders::test_a_full_disk_stops_the_store_and_loses_nothing "
        "test_a_read_only_disk_stops_the_store_and_its_next_start "
        "test_a_folder_removed_while_in_use_is_rebuilt",
        "faults.test_storage::test_a_full_disk_stops_a_pod_with_an_error_until_space_is_freed",
        "engine.state.test_store::test_a_flipped_bit_ends_the_process_that_reads_it",
    ),
    "60": row(
        "the changelog is truncated, recreated, or has another cleanup policy",
        "engine.assignment.test_start_guards::test_events_without_a_changelog_are_refused "
        "test_a_local_store_ahead_of_its_changelog_is_refused test_local_state_of_a_recreated_changelog_is_dropped",
        "engine.kafka.test_topics_admin::test_a_changelog_that_deletes_is_refused",
        "faults.test_inputs::test_a_truncated_changelog_is_refused",
    ),
    "61": row(
        "the end of the changelog is compacted",
        "engine.state.test_changelog_reader::test_aborted_records_are_skipped",
        note="see 2.4",
    ),
    "62": row(
        "a pod is killed for its memory use",
        "engine.state.test_store::test_the_cache_is_bounded",
        "engine.runtime.test_pod_lives::test_reading_ahead_is_bounded_in_bytes",
        "engine.runtime.test_pod_lives::test_the_client_reads_ahead_no_more_than_it_must",
    ),
}

_LOAD = {
    "63": row(
        "a hot key or partition",
        "engine.runtime.test_wakeups::test_partitions_in_a_transaction_are_left_alone",
        "simulation.test_judge::test_without_a_bug_no_invariant_is_violated",
        note="the cost of a hot partition to the others is not measured yet",
    ),
    "64": row(
        "a backlog after an outage",
        "broker.test_timers::test_4c_33_timers_due_during_downtime_fire_once_after_the_backlog_is_read",
        "engine.runtime.test_timers::test_a_reply_that_came_while_the_pod_was_down_beats_its_timeout",
        note="how fast it is drained: `make bench`",
    ),
    "65": row(
        "a participant is slow or down",
        "broker.test_outage::test_an_outage_causes_no_flood_of_commands_and_no_compensation "
        "test_a_failing_participant_gets_few_commands_until_it_recovers",
        "saga.test_catalogue_admission::test_65_a_participant_that_is_down_is_not_flooded",
    ),
    "66": row("a slow consumer of events is rebuilt while events are written", note=_NO_READ_SIDE),
    "67": row("a consumer of events sees some twice, or misses some", note=_NO_READ_SIDE),
    "68": row(
        "an event is altered, deleted, moved or added",
        "audit.checks.test_every_record::test_every_field_of_a_value_counts test_a_missing_record_is_found",
        "audit.test_mutants::test_all_mutants_are_caught",
        note="found by auditing all topics together; events carry no hash chain",
    ),
    "69": row(
        "messages get new fields and types",
        "wire.test_reader::test_unknown_fields_are_ignored test_an_unknown_type_is_refused",
        "wire.test_schemas::test_a_schema_allows_unknown_fields",
    ),
    "70": row("reads lag behind writes", note=_NO_READ_SIDE),
}

CATALOGUE: dict[str, Row] = {
    **_BUSINESS, **_ABUSE, **_TIME, **_ENVIRONMENT, **_DISK, **_LOAD, **HOLES, **LIBRARY, **FOUND,
}  # fmt: skip
