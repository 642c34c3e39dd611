"""What the base library and the client do, issue by issue, and what stands against it here."""

from tests.faults.rows import row

LIBRARY = {
    "2.1": row(
        "recovery's end is the last stable offset",
        "engine.test_restore::test_the_last_committed_transaction_is_waited_for",
    ),
    "2.2": row(
        "aborted records of the changelog",
        "engine.test_restore::test_what_was_aborted_is_left_out",
        "engine.test_clients::test_only_committed_records_are_read",
    ),
    "2.3": row(
        "recovery is done when an empty second has passed",
        "engine.test_restore::test_everything_committed_is_taken_in",
    ),
    "2.4": row(
        "recovery gets stuck behind a marker that was compacted away",
        "engine.test_restore::test_what_was_aborted_is_left_out test_a_transaction_that_never_ends_is_told",
        without="the last record of a log that is compacted only is in its active segment, which is never compacted",
    ),
    "2.5": row(
        "a rebalance during recovery",
        "faults.test_matrix::test_pods_die_at_any_point_and_nothing_is_lost_or_done_twice",
        "broker.test_whole_flow::test_two_pods_share_the_partitions_and_a_third_takes_over_from_one_that_leaves",
    ),
    "2.6": row(
        "a watchdog of recovery that crashes for ever",
        "engine.test_restore::test_a_transaction_that_never_ends_is_told",
    ),
    "2.7": row(
        "out-of-range offsets delete state", "engine.test_guards::test_an_input_whose_records_were_deleted_is_refused"
    ),
    "2.8": row(
        "offsets get out of range while it runs",
        "faults.test_inputs::test_records_that_are_deleted_before_they_are_read_end_the_pod",
    ),
    "2.9": row("offsets are lost", "engine.test_guards::test_a_changelog_without_a_group_is_refused"),
    "2.10": row(
        "somebody sets offsets by hand",
        "faults.test_inputs::test_an_offset_that_was_set_by_hand_is_told",
        "faults.test_again::test_what_was_decided_is_not_decided_again",
        "audit.test_mutants::test_a_mutant_is_caught",
        without="told and judged by the audit, not refused: it is the way out of other refusals",
    ),
    "2.11": row(
        "recovery needs a committed offset of each topic of a header",
        without="positions are in no header here: they are the group's alone",
    ),
    "2.12": row(
        "all partitions move when a pod joins or leaves",
        "engine.test_clients::test_names_outlive_a_restart_and_are_a_pods_own "
        "test_a_pod_that_reads_other_topics_is_another_member",
        "engine.test_guards::test_a_pod_that_was_given_only_some_inputs_of_a_partition_is_refused",
    ),
    "2.13": row(
        "a new transactional id in each life",
        "engine.test_lanes::test_the_next_life_of_a_pod_ends_what_this_one_left_open",
    ),
    "2.14": row("no transaction coordinator at the start", "engine.test_lanes::test_no_coordinator_is_told"),
    "2.15": row(
        "a transaction is open for too long",
        "engine.test_lives::test_slow_records_are_committed_bit_by_bit",
        "engine.test_duties::test_nothing_to_do_is_no_batch",
    ),
    "2.16": row("commits are seconds apart", without="a batch is committed as soon as it is decided: `make bench`"),
    "2.17": row(
        "errors of transactions",
        "engine.test_lanes::test_a_failed_commit_is_not_forgotten",
        "engine.test_command::test_exit_codes_tell_what_to_do",
    ),
    "2.18": row(
        "a late EndTxn meets a later transaction",
        "faults.test_retried_commit::test_a_commit_that_was_sent_twice_does_not_end_the_next_transaction",
    ),
    "2.19": row(
        "half of what a record led to is committed after an error",
        "engine.test_turns::test_a_bad_record_is_one_dead_letter",
        without="no error handler is given; an error ends the process before the commit",
    ),
    "2.20": row(
        "an output is lost and the offset committed",
        "faults.test_inputs::test_a_record_that_the_broker_refuses_ends_the_pod",
        "engine.test_first_writes::test_a_committed_transaction_has_all_its_records",
    ),
    "2.21": row(
        "a state that can't be written",
        "wire.test_statedoc::test_any_state_is_read_back",
    ),
    "2.22": row("a state larger than a record may be", without="see H11"),
    "2.23": row(
        "the broker refuses a record",
        "faults.test_inputs::test_a_record_that_the_broker_refuses_ends_the_pod",
        "engine.test_topics::test_a_setting_that_could_lose_something_is_refused",
        "faults.test_matrix::test_brokers_and_links_fail_and_all_goes_on_by_itself",
    ),
    "2.24": row(
        "a decision takes longer than a poll may",
        "faults.test_loss::test_work_decided_before_a_loss_is_not_committed_after_it",
        "engine.test_lives::test_slow_records_are_committed_bit_by_bit",
    ),
    "2.25": row(
        "local files are broken",
        "engine.test_store::test_a_store_whose_files_are_garbage_is_made_anew "
        "test_a_store_that_misses_a_file_is_made_anew "
        "test_a_flipped_bit_ends_the_life_that_meets_it test_a_flipped_bit_is_found_by_who_reads_it",
    ),
    "2.26": row(
        "a full disk looks like a lock",
        "engine.test_store::test_a_folder_in_use_is_refused test_a_folder_that_cannot_be_made_is_refused",
        "faults.test_folders::test_a_full_disk_ends_the_life_that_meets_it_and_nothing_is_lost",
    ),
    "2.27": row(
        "power is lost before files are on the disk",
        "engine.test_store::test_a_life_that_ends_without_closing_keeps_what_it_saved",
        "engine.test_restore::test_a_second_restore_reads_only_what_is_new",
    ),
    "2.28": row(
        "memory",
        "engine.test_lives::test_reading_ahead_is_bounded_in_bytes",
        "engine.test_store::test_the_cache_is_bounded test_reading_alone_does_not_fill_the_memory",
    ),
    "2.29": row(
        "the number of partitions changes",
        "faults.test_inputs::test_an_input_with_more_partitions_than_the_others_is_refused "
        "test_more_partitions_of_all_topics_are_refused",
        "engine.test_topics::test_unequal_numbers_of_partitions_are_refused",
    ),
    "2.30": row(
        "the changelog's settings",
        "engine.test_topics::test_a_changelog_that_deletes_is_refused test_too_few_replicas_are_refused",
    ),
    "2.31": row(
        "an order's memory ends",
        "broker.test_time::test_4a_15_an_ended_order_is_remembered_for_its_time_and_then_forgotten",
        "engine.test_topics::test_a_setting_that_could_lose_something_is_refused",
    ),
    "2.32": row("time to live of state", without="not used: sagas are forgotten by decisions"),
    "2.33": row(
        "one partition stands still in silence",
        "faults.test_inputs::test_an_input_that_an_open_transaction_holds_back_is_told "
        "test_an_input_that_is_deleted_ends_the_pod",
        without="told in the log; nothing restarts the pod for it yet, as there is no health check yet",
    ),
    "2.34": row(
        "told to end while a commit hangs",
        "faults.test_retried_commit::test_a_pod_that_is_told_to_end_does_not_wait_for_long_for_a_commit",
        "engine.test_command::test_a_pod_ends_in_order_when_it_is_asked_to",
    ),
    "2.35": row(
        "what JSON leaves open",
        "wire.test_strict::test_a_number_that_is_none_is_malformed test_a_number_beyond_64_bits_is_no_integer "
        "test_a_member_twice_is_malformed test_depth_is_bounded",
    ),
    "2.36": row(
        "no key, no value",
        "engine.test_turns::test_a_key_that_is_missing_is_wrong test_a_bad_record_is_one_dead_letter",
    ),
    "2.37": row(
        "the library's hook for timers",
        "engine.test_time::test_a_timeout_is_taken_up_by_the_next_life test_timeouts_are_not_starved_by_load",
        without="not used: the engine's own loop sees to due times",
    ),
    "3.1": row(
        "EndTxn is not answered in time",
        "faults.test_lost_commits::test_a_commit_of_unknown_outcome_ends_the_process_and_is_tried_once",
    ),
    "3.2": row(
        "clients that lose records in silence",
        "engine.test_first_writes::test_a_committed_transaction_has_all_its_records",
        "house.test_locks::test_every_pin_has_hashes_and_no_address",
    ),
    "3.3": row(
        "the position moves at an error or a partition's end",
        "engine.test_lag::test_an_idle_orchestrator_has_no_lag",
    ),
    "3.4": row(
        "callbacks within a poll",
        "engine.test_lives::test_partitions_that_are_given_to_a_pod_on_its_way_out_are_not_taken",
        "engine.test_privates::test_a_private_part_is_as_it_was",
    ),
    "3.5": row(
        "offsets that are not stable yet",
        "engine.test_guards::test_an_open_transaction_of_a_former_owner_is_waited_for",
        "engine.test_clients::test_a_dead_owners_transaction_ends_while_its_successor_waits",
    ),
    "3.6": row(
        "generations fence members, not partitions",
        "faults.test_loss::test_work_decided_before_a_loss_is_not_committed_after_it",
    ),
    "3.7": row("static members", "engine.test_lives::test_a_second_process_of_the_same_name_ends_the_first"),
    "3.8": row(
        "no tool for hanging transactions",
        "faults.test_inputs::test_an_input_that_an_open_transaction_holds_back_is_told",
        "engine.test_restore::test_a_transaction_that_never_ends_is_told",
    ),
    "3.9": row(
        "time-outs in order",
        "engine.test_clients::test_timeouts_are_in_order",
        "engine.test_settings::test_timeouts_that_would_let_a_lost_pod_go_on_are_refused",
    ),
}
