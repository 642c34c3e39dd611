"""What no list had, and the rounds of faults found."""

from tests.faults.rows import row

FOUND = {
    "F1": row(
        "a broker restarts, and clients ask for offsets in its former term for a quarter of an hour",
        "faults.test_stale_leaders::test_time_outs_fire_again test_questions_of_a_longer_life_are_answered_again "
        "test_a_client_left_to_itself_is_not_answered",
    ),
    "F2": row(
        "the group's coordinator is away, and the client keeps no limit with positions to commit",
        "faults.test_lost_commits::test_a_coordinator_that_is_gone_does_not_hold_a_commit_up_for_ever",
    ),
    "F3": row(
        "a changelog is made anew while pods run, and gets records of theirs",
        "engine.test_guards::test_a_changelog_that_was_made_anew_under_running_pods_is_refused",
    ),
}
