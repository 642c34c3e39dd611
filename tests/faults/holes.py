"""The holes of the base library under exactly-once, each with the tests that fail when ours is open."""

from tests.faults.rows import row

HOLES = {
    "H1": row(
        "timer-only commits are not fenced",
        "faults.test_loss::test_a_batch_of_due_times_alone_is_not_committed_after_a_loss",
        "engine.test_lanes::test_an_owner_of_a_former_generation_commits_nothing "
        "test_without_a_position_a_former_owner_would_commit",
    ),
    "H2": row(
        "work survives `on_lost`",
        "faults.test_loss::test_work_decided_before_a_loss_is_not_committed_after_it",
        "faults.test_retried_commit::test_a_pod_that_lost_its_partitions_ends_with_a_commit_under_way",
        "engine.test_lives::test_a_lost_pod_ends",
    ),
    "H3": row(
        "restoring ends at the last stable offset",
        "engine.test_restore::test_the_last_committed_transaction_is_waited_for "
        "test_a_transaction_that_never_ends_is_told test_a_transaction_that_a_dead_pod_left_open_is_waited_for",
    ),
    "H4": row(
        "no committed offset, and a changelog that is not empty",
        "engine.test_guards::test_a_changelog_without_a_group_is_refused "
        "test_an_input_whose_offset_was_lost_is_refused",
        "engine.test_command::test_a_pod_refuses_to_forget",
        "engine.test_offsets::test_an_unsafe_start_is_refused",
    ),
    "H5": row(
        "a commit is tried again after a time-out",
        "faults.test_retried_commit::test_a_commit_that_was_sent_twice_does_not_end_the_next_transaction "
        "test_a_pod_that_is_told_to_end_does_not_wait_for_long_for_a_commit",
        "faults.test_lost_commits::test_a_commit_of_unknown_outcome_ends_the_process_and_is_tried_once "
        "test_the_next_life_finds_out_what_came_of_it",
        "engine.test_lanes::test_a_failed_commit_is_not_forgotten",
    ),
    "H6": row(
        "random transactional ids",
        "engine.test_clients::test_names_outlive_a_restart_and_are_a_pods_own "
        "test_no_two_lanes_share_a_transactional_id",
        "engine.test_lanes::test_the_next_life_of_a_pod_ends_what_this_one_left_open",
    ),
    "H7": row(
        "state is deleted when offsets are out of range",
        "engine.test_guards::test_an_input_whose_records_were_deleted_is_refused "
        "test_an_input_that_was_made_anew_is_refused",
        "faults.test_inputs::test_records_that_are_deleted_before_they_are_read_end_the_pod",
        "engine.test_privates::test_the_library_would_commit_nothing_by_itself",
    ),
    "H8": row(
        "changelog names follow from the inputs",
        "wire.test_topics::test_the_table_is_the_contracts test_another_saga_has_topics_of_its_own_steps",
        "engine.test_guards::test_fresh_topics_are_taken_over",
        "engine.test_offsets::test_a_new_empty_input_is_read_from_its_beginning",
    ),
    "H9": row(
        "the changelog's settings are not checked",
        "engine.test_topics::test_a_changelog_that_deletes_is_refused "
        "test_a_setting_that_could_lose_something_is_refused test_too_few_replicas_on_the_broker_are_refused",
        "faults.test_inputs::test_a_changelog_that_was_cut_is_refused",
    ),
    "H10": row(
        "secrets in logs and in `str(config)`",
        "security.test_canaries::test_a_pod_tells_nothing test_settings_and_refusals_tell_nothing",
        "security.test_silence::test_nothing_that_holds_a_secret_shows_it "
        "test_the_base_librarys_clients_are_told_and_keep_it_to_themselves",
    ),
    "H11": row(
        "oversize state or output",
        "wire.test_dead_letters::test_a_dead_letter_fits_into_a_topic",
        "engine.test_largest::test_the_largest_of_everything_is_written",
        "faults.test_inputs::test_a_record_that_the_broker_refuses_ends_the_pod",
    ),
    "H12": row(
        "positions that idle groups never commit",
        "engine.test_lag::test_an_idle_orchestrator_has_no_lag "
        "test_an_offset_committed_beside_a_transaction_takes_the_group_back",
    ),
}
