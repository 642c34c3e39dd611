"""Exactly-once holes of the base library, each with the tests that fail if the same hole is open here."""

from tests.faults.rows import row

HOLES = {
    "H1": row(
        "timer-only commits are not fenced",
        "faults.test_loss::test_a_timer_only_batch_is_not_committed_after_a_loss",
        "engine.kafka.test_transactions::test_an_owner_of_a_former_generation_is_fenced "
        "test_without_an_offset_a_former_owner_would_commit",
    ),
    "H2": row(
        "a decided batch survives `on_lost`",
        "faults.test_loss::test_a_batch_decided_before_a_loss_is_not_committed_after_it",
        "faults.test_retried_commit::test_a_pod_that_lost_its_partitions_ends_with_a_commit_in_flight",
        "engine.runtime.test_pod_lives::test_a_pod_that_loses_its_partitions_ends",
    ),
    "H3": row(
        "restoring ends at the last stable offset",
        "engine.state.test_changelog_reader::test_the_last_committed_transaction_is_waited_for "
        "test_a_transaction_that_never_ends_is_reported test_a_transaction_that_a_dead_pod_left_open_is_waited_for",
    ),
    "H4": row(
        "no committed offset, but a changelog that is not empty",
        "engine.assignment.test_start_guards::test_a_changelog_without_a_group_is_refused "
        "test_an_input_whose_offset_was_lost_is_refused",
        "engine.test_command::test_a_pod_refuses_to_start_without_its_offsets",
        "engine.assignment.test_start_offsets::test_an_unsafe_start_is_refused",
    ),
    "H5": row(
        "a commit is retried after a time-out",
        "faults.test_retried_commit::test_a_retried_commit_does_not_end_the_next_transaction "
        "test_a_pod_asked_to_stop_does_not_wait_long_for_a_commit",
        "faults.test_lost_commits::test_a_commit_of_unknown_outcome_stops_the_process_and_is_not_retried "
        "test_the_next_start_resolves_an_unknown_outcome",
        "engine.kafka.test_transactions::test_a_failed_commit_is_reported_each_time",
    ),
    "H6": row(
        "random transactional ids",
        "engine.kafka.test_client_config::test_ids_survive_a_restart_and_are_unique_to_a_pod "
        "test_no_two_producers_share_a_transactional_id",
        "engine.kafka.test_transactions::test_the_next_start_of_a_pod_aborts_and_fences_the_former_one",
    ),
    "H7": row(
        "state is deleted when offsets are out of range",
        "engine.assignment.test_start_guards::test_an_input_whose_records_were_deleted_is_refused "
        "test_a_recreated_input_is_refused",
        "faults.test_inputs::test_records_deleted_before_they_are_read_stop_the_pod",
        "engine.test_quixstreams_internals::test_the_library_would_commit_nothing_by_itself",
    ),
    "H8": row(
        "changelog names are derived from the inputs",
        "wire.test_topics::test_the_table_is_the_contracts test_another_saga_has_topics_of_its_own_steps",
        "engine.assignment.test_start_guards::test_fresh_topics_are_taken_over",
        "engine.assignment.test_start_offsets::test_a_new_empty_input_is_read_from_its_beginning",
    ),
    "H9": row(
        "the changelog's settings are not checked",
        "engine.kafka.test_topics_admin::test_a_changelog_that_deletes_is_refused "
        "test_a_setting_that_could_lose_something_is_refused test_too_few_replicas_on_the_broker_are_refused",
        "faults.test_inputs::test_a_truncated_changelog_is_refused",
    ),
    "H10": row(
        "secrets in logs and in `str(config)`",
        "security.test_canaries::test_a_pod_reveals_nothing test_settings_and_refusals_reveal_nothing",
        "security.test_silence::test_nothing_that_holds_a_secret_shows_it "
        "test_quixstreams_clients_get_the_security_settings_and_do_not_print_them",
    ),
    "H11": row(
        "state or output larger than a record may be",
        "wire.test_dead_letters::test_a_dead_letter_fits_into_a_topic",
        "engine.runtime.test_largest_records::test_the_largest_of_everything_is_written",
        "faults.test_inputs::test_a_record_refused_by_the_broker_stops_the_pod",
    ),
    "H12": row(
        "an idle group never commits its positions",
        "engine.runtime.test_lag::test_an_idle_orchestrator_has_no_lag "
        "test_an_offset_committed_outside_a_transaction_takes_the_group_back",
    ),
}
