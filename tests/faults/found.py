"""Failures that no list named, and that rounds of faults found."""

from tests.faults.rows import row

FOUND = {
    "F1": row(
        "a broker restarts, and clients ask for offsets with a stale leader epoch for a quarter of an hour",
        "faults.test_stale_leaders::test_timers_fire_again test_long_lived_admin_clients_are_answered_again "
        "test_a_client_with_default_settings_is_not_answered",
    ),
    "F2": row(
        "the group coordinator is down, and the client ignores its own time-out for committing offsets",
        "faults.test_lost_commits::test_a_missing_group_coordinator_does_not_block_a_commit_for_ever",
    ),
    "F3": row(
        "a changelog is recreated while pods run, and they write to it",
        "engine.assignment.test_start_guards::test_a_changelog_that_was_recreated_under_running_pods_is_refused",
    ),
}
