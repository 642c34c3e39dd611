"""Issues of the base library quixstreams (2.x) and of the client librdkafka (3.x), and the tests that cover them."""

from tests.faults.rows import row

LIBRARY = {
    "2.1": row(
        "recovery ends at the last stable offset",
        "engine.state.test_changelog_reader::test_the_last_committed_transaction_is_waited_for",
    ),
    "2.2": row(
        "recovery meets aborted changelog records",
        "engine.state.test_changelog_reader::test_aborted_records_are_skipped",
        "engine.kafka.test_client_config::test_only_committed_records_are_read",
    ),
    "2.3": row(
        "recovery ends after one second without a record",
        "engine.state.test_changelog_reader::test_all_committed_records_are_restored",
    ),
    "2.4": row(
        "recovery hangs when the last control record was compacted away",
        "engine.state.test_changelog_reader::test_aborted_records_are_skipped "
        "test_a_transaction_that_never_ends_is_reported",
        note="the last record of a compacted log is in its active segment, which is never compacted",
    ),
    "2.5": row(
        "a rebalance during recovery",
        "faults.test_matrix::test_pods_killed_at_any_point_lose_and_repeat_nothing",
        "broker.test_whole_flow::test_two_pods_share_the_partitions_and_a_third_takes_over_from_one_that_leaves",
    ),
    "2.6": row(
        "a recovery watchdog makes the process crash for ever",
        "engine.state.test_changelog_reader::test_a_transaction_that_never_ends_is_reported",
    ),
    "2.7": row(
        "an offset out of range deletes state",
        "engine.assignment.test_start_guards::test_an_input_whose_records_were_deleted_is_refused",
    ),
    "2.8": row(
        "an offset gets out of range at run time",
        "faults.test_inputs::test_records_deleted_before_they_are_read_stop_the_pod",
    ),
    "2.9": row(
        "committed offsets are lost", "engine.assignment.test_start_guards::test_a_changelog_without_a_group_is_refused"
    ),
    "2.10": row(
        "committed offsets are set by hand",
        "faults.test_inputs::test_an_offset_set_by_hand_is_logged",
        "faults.test_replayed_inputs::test_replayed_inputs_change_nothing",
        "audit.test_mutants::test_a_mutant_is_caught",
        note="logged and audited, not refused: operators resolve other refusals this way",
    ),
    "2.11": row(
        "recovery needs a committed offset for each topic in a changelog header",
        note="changelog headers hold no positions here: only the group does",
    ),
    "2.12": row(
        "all partitions move when a pod joins or leaves",
        "engine.kafka.test_client_config::test_ids_survive_a_restart_and_are_unique_to_a_pod "
        "test_a_pod_that_reads_other_topics_is_another_member",
        "engine.assignment.test_start_guards::test_a_pod_that_gets_only_some_inputs_of_a_partition_is_refused",
    ),
    "2.13": row(
        "a new transactional id at every start",
        "engine.kafka.test_transactions::test_the_next_start_of_a_pod_aborts_and_fences_the_former_one",
    ),
    "2.14": row(
        "no transaction coordinator at the start",
        "engine.kafka.test_transactions::test_a_missing_coordinator_is_reported",
    ),
    "2.15": row(
        "a transaction stays open for too long",
        "engine.runtime.test_pod_lives::test_slow_records_are_committed_in_several_transactions",
        "engine.runtime.test_wakeups::test_nothing_to_do_is_no_batch",
    ),
    "2.16": row("commits are seconds apart", note="a batch is committed as soon as it is decided: `make bench`"),
    "2.17": row(
        "transaction errors",
        "engine.kafka.test_transactions::test_a_failed_commit_is_reported_each_time",
        "engine.test_command::test_exit_codes_say_whether_a_restart_helps",
    ),
    "2.18": row(
        "a late EndTxn ends a later transaction",
        "faults.test_retried_commit::test_a_retried_commit_does_not_end_the_next_transaction",
    ),
    "2.19": row(
        "part of a record's outputs is committed after an error",
        "engine.test_processor::test_an_invalid_record_is_one_dead_letter",
        note="no error callback is set: an error ends the process before the commit",
    ),
    "2.20": row(
        "an output is lost, but the offset is committed",
        "faults.test_inputs::test_a_record_refused_by_the_broker_stops_the_pod",
        "engine.kafka.test_first_writes::test_a_committed_transaction_has_all_its_records",
    ),
    "2.21": row(
        "a state that can't be serialized",
        "wire.test_state_codec::test_any_state_is_read_back",
    ),
    "2.22": row("a state larger than a record may be", note="see H11"),
    "2.23": row(
        "the broker refuses a record",
        "faults.test_inputs::test_a_record_refused_by_the_broker_stops_the_pod",
        "engine.kafka.test_topics_admin::test_a_setting_that_could_lose_something_is_refused",
        "faults.test_matrix::test_pods_recover_by_themselves_from_broker_and_network_faults",
    ),
    "2.24": row(
        "processing takes longer than max.poll.interval.ms",
        "faults.test_loss::test_a_batch_decided_before_a_loss_is_not_committed_after_it",
        "engine.runtime.test_pod_lives::test_slow_records_are_committed_in_several_transactions",
    ),
    "2.25": row(
        "local state files are damaged",
        "engine.state.test_store::test_a_store_with_garbage_in_its_files_is_rebuilt "
        "test_a_store_with_a_missing_file_is_rebuilt "
        "test_a_flipped_bit_ends_the_process_that_reads_it test_a_flipped_bit_in_a_saga_is_noticed",
    ),
    "2.26": row(
        "a full disk is reported as a locked store",
        "engine.state.test_store::test_a_folder_in_use_is_refused test_a_folder_that_cannot_be_created_is_refused",
        "faults.test_folders::test_a_full_disk_stops_the_store_and_loses_nothing",
    ),
    "2.27": row(
        "power is lost before local state is synced to disk",
        "engine.state.test_store::test_a_killed_process_keeps_its_saved_state",
        "engine.state.test_changelog_reader::test_a_second_restore_reads_only_what_is_new",
    ),
    "2.28": row(
        "memory grows without bound",
        "engine.runtime.test_pod_lives::test_reading_ahead_is_bounded_in_bytes",
        "engine.state.test_store::test_the_cache_is_bounded test_reading_alone_does_not_fill_the_memory",
    ),
    "2.29": row(
        "the number of partitions changes",
        "faults.test_inputs::test_an_input_with_more_partitions_than_the_others_is_refused "
        "test_adding_partitions_to_all_topics_is_refused",
        "engine.kafka.test_topics_admin::test_unequal_partition_counts_are_refused",
    ),
    "2.30": row(
        "unsafe topic settings of the changelog",
        "engine.kafka.test_topics_admin::test_a_changelog_that_deletes_is_refused test_too_few_replicas_are_refused",
    ),
    "2.31": row(
        "the retention of an ended order is over",
        "broker.test_timers::test_4a_15_an_ended_order_is_retained_and_then_forgotten",
        "engine.kafka.test_topics_admin::test_a_setting_that_could_lose_something_is_refused",
    ),
    "2.32": row("time to live of state", note="not used: sagas expire by decisions"),
    "2.33": row(
        "one partition stalls without an error",
        "faults.test_inputs::test_an_input_stalled_by_an_open_transaction_is_logged test_a_deleted_input_stops_the_pod",
        note="logged; there is no health check yet that would restart the pod",
    ),
    "2.34": row(
        "SIGTERM while a commit hangs",
        "faults.test_retried_commit::test_a_pod_asked_to_stop_does_not_wait_long_for_a_commit",
        "engine.test_command::test_a_pod_ends_cleanly_on_sigterm",
    ),
    "2.35": row(
        "ambiguities of JSON",
        "wire.test_strict_json::test_an_invalid_number_is_malformed test_a_number_beyond_64_bits_is_no_integer "
        "test_a_member_twice_is_malformed test_depth_is_bounded",
    ),
    "2.36": row(
        "records without a key or a value",
        "engine.test_processor::test_a_missing_key_is_wrong test_an_invalid_record_is_one_dead_letter",
    ),
    "2.37": row(
        "the library's timer hook",
        "engine.runtime.test_timers::test_a_timeout_fires_after_a_restart test_timeouts_are_not_starved_by_load",
        note="not used: the engine's own loop fires due timers",
    ),
    "3.1": row(
        "EndTxn is not answered in time",
        "faults.test_lost_commits::test_a_commit_of_unknown_outcome_stops_the_process_and_is_not_retried",
    ),
    "3.2": row(
        "client versions that lose records without an error",
        "engine.kafka.test_first_writes::test_a_committed_transaction_has_all_its_records",
        "house.test_locks::test_every_pin_has_hashes_and_no_address",
    ),
    "3.3": row(
        "the consumer's position moves at an error or at the end of a partition",
        "engine.runtime.test_lag::test_an_idle_orchestrator_has_no_lag",
    ),
    "3.4": row(
        "rebalance callbacks run inside poll",
        "engine.runtime.test_pod_lives::test_partitions_assigned_to_a_closing_pod_are_not_taken_over",
        "engine.test_quixstreams_internals::test_a_private_part_is_unchanged",
    ),
    "3.5": row(
        "committed offsets that are not stable yet",
        "engine.assignment.test_start_guards::test_an_open_transaction_of_a_former_owner_is_waited_for",
        "engine.kafka.test_client_config::test_a_dead_owners_transaction_ends_while_its_successor_waits",
    ),
    "3.6": row(
        "generations fence members, not partitions",
        "faults.test_loss::test_a_batch_decided_before_a_loss_is_not_committed_after_it",
    ),
    "3.7": row(
        "static membership", "engine.runtime.test_pod_lives::test_a_second_process_of_the_same_name_ends_the_first"
    ),
    "3.8": row(
        "the client has no tool for hanging transactions",
        "faults.test_inputs::test_an_input_stalled_by_an_open_transaction_is_logged",
        "engine.state.test_changelog_reader::test_a_transaction_that_never_ends_is_reported",
    ),
    "3.9": row(
        "time-outs that have to be ordered",
        "engine.kafka.test_client_config::test_timeouts_are_in_order",
        "engine.test_settings::test_timeouts_in_the_wrong_order_are_refused",
    ),
}
