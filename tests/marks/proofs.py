"""By what each mark is reached: a mark is in one of these tables, and a new one has to be put into one of them."""

from __future__ import annotations

from collections.abc import Mapping

OFTEN = frozenset(
    {
        "a coroutine of others raises what ends processes",
        "a transaction holds a task whose lease is extended",
        "a heartbeat comes after another claim",
        "a heartbeat comes after a cancel",
        "a heartbeat comes after the task ran",
        "a delivery is recorded without the shard's lease",
        "another run has the key",
        "a duty ends although its host goes on",
        "a claim fails, and its place is asked again",
        "a handler blocked the loop beyond its timeout",
        "a heartbeat failed, and the next must go out",
        "leases are lost, or their tasks cancelled",
        "leases ran out while the store could not be reached",
        "inputs cannot be read for now",
        "a step of a loop fails",
        "a loop ends although its host goes on",
        "a host stops that waits for messages",
        "messages come while their host stops",
        "others flush, or the sink is given a pause",
        "leases ran out",
        "notes cannot be written for now",
        "a run is locked that is to be annotated",
        "nothing waits but outcomes of locked runs",
        "something in a batch cannot be settled at all",
        "outcomes may be recorded",
        "the store cannot be reached, and outcomes stay",
        "somebody else has locked the run",
        "one outcome cannot be settled at all",
        "a step of a tick fails, and stops no other",
        "a claim may have leased tasks, although no answer came",
        "what such claims have leased is asked for",
        "a message comes before its time",
        "the store fails one of several flushes",
        "hosts lost their leases",
        "a task is claimed while the host drains",
        "tasks were leased by claims whose answers were lost",
        "the store may still show a lease that was let go",
        "nothing is to be recorded of an attempt",
        "an outcome does not wait for its notes any longer",
        "an outcome comes too late",
        "an outcome is not of the attempt that has the task",
        "a host gives its task back",
        "an attempt fails, and is not the last",
        "a lease ran out, and another attempt begins",
        "a run is locked by somebody else, or gone",
        "somebody was quicker",
        "events wait behind one that is refused",
        "the sink leaves a run unfinished",
        "the sink refuses an event",
        "a shard is lost, and what the sink accepted comes again",
        "the answer to a commit is lost, so it is repeated to be recognised",
        "queued work cannot be announced; polls and the sweep find it",
        "ends cannot be told",
        "a sink is user code; what it raises concerns this run alone",
        "the sink accepts nothing",
    }
)
"""Reached by so many worlds of the campaign, or scenarios whose calls are struck, that a few dozen seeds reach all."""

SELDOM = frozenset(
    {
        "the store fails in the middle of a call",
        "what was delivered stands behind the place that was recorded",
        "a shard is lost while what was refused is offered again",
    }
)
"""Reached by one in a hundred worlds or so, and not yet by a test of their own: `make marks` asks for them."""

PROOFS: Mapping[str, str] = {
    "a function of others cancels itself": "tests/unit/adapters/test_calling.py::test_what_a_function_raises_comes_out",
    "a thread of others raises what ends processes": (
        "tests/unit/adapters/test_calling.py::test_what_a_function_raises_comes_out"
    ),
    "a thread of others does not end in time": (
        "tests/unit/adapters/test_calling.py::test_while_a_thread_hangs_no_other_is_begun"
    ),
    "the clock was ahead of the other one, and slows down": (
        "tests/unit/adapters/postgres/test_clock.py::test_a_clock_that_is_ahead_waits_for_the_server"
    ),
    "a run that is old is gone, or in somebody's hands": (
        "tests/contract/test_retention.py::test_what_may_not_go_is_not_deleted_either[memory]"
    ),
    "two transactions would wait for each other": (
        "tests/contract/test_locking.py::test_one_of_two_that_wait_for_each_other_gets_contention[memory]"
    ),
    "a shard is read without its lease": (
        "tests/contract/test_outbox.py::test_nothing_is_read_under_a_lost_lease[memory]"
    ),
    "a refusal is recorded without the shard's lease": (
        "tests/contract/test_sinks.py::test_nothing_is_read_or_recorded_under_a_lost_lease[memory]"
    ),
    "a queued task is locked by a transaction": (
        "tests/unit/adapters/memory/test_queues.py::test_refused_tasks_keep_their_place"
    ),
    "a scheduled command was written by somebody else": (
        "tests/contract/test_scheduler.py::test_a_stale_command_is_not_put_back[memory]"
    ),
    "the run was inserted by an earlier try": (
        "tests/contract/behaviours/test_deferring.py::test_a_host_that_dies_while_it_starts_a_run[memory-after]"
    ),
    "a statement fails, and its transaction with it": (
        "tests/contract/test_locking.py::test_one_of_two_that_wait_for_each_other_gets_contention[memory]"
    ),
    "a lock is not given in time": "tests/contract/test_locking.py::test_a_cancelled_wait_leaves_no_lock[memory]",
    "a task is not as it was read": (
        "tests/contract/test_waiting.py::test_a_cancelled_task_waits_for_nothing[memory-run]"
    ),
    "a column is to hold text that is none": (
        "tests/unit/adapters/postgres/test_arrays.py::test_what_cannot_be_stored_is_refused[texts-values0]"
    ),
    "a statement fails in a caller's transaction": (
        "tests/unit/adapters/postgres/test_callers.py::"
        "test_stricter_transactions_may_be_ended_by_the_database[psycopg-SERIALIZABLE]"
    ),
    "others hold what a claim ranked first": (
        "tests/contract/test_claiming_tasks.py::test_a_task_that_another_transaction_holds_is_skipped[postgres]"
    ),
    "part of a claim may have been committed": (
        "tests/unit/adapters/postgres/test_claiming.py::test_a_claim_of_which_part_is_unknown_is_unknown"
    ),
    "part of a claim fails": (
        "tests/unit/adapters/postgres/test_claiming.py::"
        "test_what_a_claim_has_taken_is_answered_though_the_rest_fails[down]"
    ),
    "no connection can be opened": (
        "tests/unit/adapters/postgres/test_errors.py::test_an_unreachable_server_is_worth_another_attempt"
    ),
    "a coroutine is cancelled that opens a connection": (
        "tests/unit/adapters/postgres/test_pool.py::test_opening_that_is_cancelled_leaves_no_socket"
    ),
    "a block fails, and its transaction with it": (
        "tests/unit/adapters/postgres/test_pool.py::test_a_transaction_that_is_cancelled_is_rolled_back"
    ),
    "a commit commits nothing": (
        "tests/unit/adapters/postgres/test_errors.py::test_a_transaction_that_failed_is_not_taken_for_committed"
    ),
    "a block goes on although its connection is gone": (
        "tests/unit/adapters/postgres/test_preparing.py::test_a_swallowed_error_is_not_taken_for_a_commit"
    ),
    "statements are skipped that may have been to be prepared": (
        "tests/unit/adapters/postgres/test_preparing.py::test_a_locked_run_costs_no_connection_for_ever"
    ),
    "the server does not know what was prepared": (
        "tests/unit/adapters/postgres/test_preparing.py::"
        "test_statements_that_the_server_forgot_are_prepared_anew[alone]"
    ),
    "a transaction cannot be rolled back": (
        "tests/unit/adapters/postgres/test_pool.py::test_what_a_block_raises_is_not_hidden_by_a_connection_that_is_gone"
    ),
    "the server is a standby": "tests/unit/adapters/postgres/test_pool.py::test_a_standby_will_not_do",
    "the server ends a transaction for another's sake": (
        "tests/unit/adapters/postgres/test_callers.py::"
        "test_stricter_transactions_may_be_ended_by_the_database[psycopg-SERIALIZABLE]"
    ),
    "the server goes down, or cannot write": (
        "tests/unit/adapters/postgres/test_errors.py::test_states_have_their_families[08006-Unavailable-CommitUnknown]"
    ),
    "the driver refuses a value": (
        "tests/unit/adapters/postgres/test_errors.py::"
        "test_errors_without_a_state_have_their_families[error5-UnstorableValue-UnstorableValue]"
    ),
    "a connection is cut": (
        "tests/unit/adapters/postgres/test_errors.py::"
        "test_errors_without_a_state_have_their_families[error0-Unavailable-CommitUnknown]"
    ),
    "the server refuses a value": (
        "tests/unit/adapters/postgres/test_errors.py::test_a_transaction_that_failed_is_not_taken_for_committed"
    ),
    "the answer to a commit of the database is lost": (
        "tests/unit/adapters/postgres/test_errors.py::"
        "test_errors_without_a_state_have_their_families[error0-Unavailable-CommitUnknown]"
    ),
    "a connection listens in a loop that was closed": (
        "tests/unit/adapters/postgres/test_transport.py::test_what_cannot_be_read_wakes_everybody[]"
    ),
    "nothing can listen": (
        "tests/unit/adapters/postgres/test_transport.py::test_an_unreachable_listener_costs_only_latency"
    ),
    "the connection that listens is lost": (
        "tests/unit/adapters/postgres/test_transport.py::test_listening_survives_the_loss_of_its_connection"
    ),
    "no connection comes free in time": (
        "tests/unit/adapters/postgres/test_pool.py::test_waiting_for_a_connection_is_bounded"
    ),
    "the server ended a connection that lay idle": (
        "tests/unit/adapters/postgres/test_pool.py::test_what_the_server_ended_is_replaced_unnoticed"
    ),
    "a server will not do": "tests/unit/adapters/postgres/test_pool.py::test_a_standby_will_not_do",
    "a connection comes back in use": (
        "tests/unit/adapters/postgres/test_pool.py::test_a_connection_that_is_not_idle_is_closed"
    ),
    "a loop was closed that had connections": (
        "tests/unit/adapters/postgres/test_event_loops.py::test_a_connection_lent_in_a_closed_loop_is_closed[False]"
    ),
    "rows are not as they were read": (
        "tests/contract/test_waiting.py::test_a_refused_guard_is_corruption[postgres-suspending under a stale token]"
    ),
    "a wait is over that was to be ended": (
        "tests/contract/test_waiting.py::test_a_cancelled_task_waits_for_nothing[postgres-step]"
    ),
    "a run, or its key, is there already": (
        "tests/contract/behaviours/test_reading_and_trouble.py::"
        "test_a_start_whose_answer_was_lost_makes_one_run[postgres]"
    ),
    "who had a key is gone": (
        "tests/unit/adapters/postgres/test_starting.py::test_who_has_a_key_is_removed_while_others_want_it"
    ),
    "a key of several has another request": (
        "tests/contract/test_starting.py::test_another_request_under_a_key_inserts_nothing[postgres]"
    ),
    "a guard stops a transaction": (
        "tests/contract/test_waiting.py::test_a_cancelled_task_waits_for_nothing[postgres-step]"
    ),
    "what is written last, or the commit, fails": (
        "tests/contract/test_guards.py::test_a_stale_token_is_corruption[postgres-raised]"
    ),
    "a statement of the database fails, and its transaction with it": (
        "tests/contract/test_locking.py::test_a_wait_ends_with_the_lock_timeout[postgres_only_seqscan]"
    ),
    "others hold the runs that a claim ranked first": (
        "tests/contract/test_claiming_runs.py::test_a_run_that_another_transaction_claims_is_skipped[postgres]"
    ),
    "a wake-up cannot be sent": (
        "tests/unit/adapters/postgres/test_transport.py::test_an_announcement_that_cannot_be_sent_is_dropped"
    ),
    "what is heard is not ours, or was too long to be said": (
        "tests/unit/adapters/postgres/test_transport.py::test_what_cannot_be_read_wakes_everybody[]"
    ),
    "an object arrives cut off": (
        "tests/unit/adapters/s3/test_cut_off.py::test_an_object_that_arrives_cut_off_is_nobody_s_answer[in pieces]"
    ),
    "an object cannot be written or deleted for now": (
        "tests/unit/adapters/s3/test_errors.py::test_a_refusal_is_final_and_says_what_to_do[anything else]"
    ),
    "a put whose answer was lost meets its own object": (
        "tests/unit/adapters/s3/test_faults.py::test_a_put_goes_through_what_passes[lost after it arrived]"
    ),
    "an object is written or deleted by another": (
        "tests/unit/adapters/s3/test_faults.py::test_a_put_that_overwrites_goes_through_it_too[conflict]"
    ),
    "the object store refuses or fails": (
        "tests/unit/adapters/s3/test_errors.py::test_a_refusal_is_final_and_says_what_to_do[anything else]"
    ),
    "a folder vanishes under a new name": (
        "tests/unit/adapters/s3/test_folder.py::test_a_folder_that_vanishes_while_a_blob_is_named_is_made_again"
    ),
    "a writer crashed before its file had a name": (
        "tests/unit/adapters/s3/test_folder.py::test_what_killed_writers_left_is_removed_after_a_day"
    ),
    "the disk is full, or fails": (
        "tests/unit/adapters/s3/test_folder.py::test_the_disk_s_troubles_are_told_apart[failing]"
    ),
    "the folder may not be written to": (
        "tests/unit/adapters/s3/test_folder.py::test_the_disk_s_troubles_are_told_apart[without hard links]"
    ),
    "the system's clock is set back": (
        "tests/unit/adapters/test_system.py::test_a_system_clock_that_is_set_back_does_not_take_time_back"
    ),
    "the store does not let go what a thread asked for": (
        "tests/unit/hosts/test_beside.py::test_a_duty_that_hangs_is_cut_off"
    ),
    "the last heartbeat is cut off": "tests/unit/hosts/test_beside.py::test_a_duty_that_hangs_is_cut_off",
    "such as no file descriptor left for an event loop": (
        "tests/unit/hosts/test_beside.py::test_a_thread_without_an_event_loop_tries_again"
    ),
    "not all blobs can be looked at in time": (
        "tests/unit/hosts/test_caring.py::test_a_tick_that_is_short_of_time_collects_what_it_can"
    ),
    "an attempt is stopped before its input is here": (
        "tests/unit/hosts/test_cancelling.py::test_an_attempt_that_has_not_begun_is_dropped"
    ),
    "classes of users may raise anything while they are made": (
        "tests/unit/hosts/test_hostile_endings.py::"
        "test_whatever_making_an_input_raises_is_a_failed_attempt[delivers-Panic]"
    ),
    "a thread goes on although its attempt is stopped": (
        "tests/unit/hosts/test_cancelling.py::test_a_running_handler_is_stopped[delivers-thread-loop]"
    ),
    "a result comes after its attempt was stopped": (
        "tests/unit/hosts/test_cancelling.py::test_a_running_handler_is_stopped[delivers-async-loop]"
    ),
    "a handler ends after its host": (
        "tests/unit/hosts/test_draining.py::test_a_thread_keeps_its_task_while_its_process_lives[delivers]"
    ),
    "a handler ends after its attempt": (
        "tests/unit/hosts/test_cancelling.py::test_a_running_handler_is_stopped[delivers-thread-loop]"
    ),
    "an attempt is over while its output cannot be written": (
        "tests/unit/hosts/test_large_troubles.py::"
        "test_a_store_that_takes_a_cancel_for_a_failure_ends_an_attempt_all_the_same[hints]"
    ),
    "an output cannot be written at all": (
        "tests/unit/hosts/test_large_troubles.py::test_an_output_that_is_refused_may_be_tolerated[delivers]"
    ),
    "a handler swallows its cancellation": (
        "tests/unit/hosts/test_cancelling.py::test_a_handler_that_goes_on_gives_its_slot_up[delivers-async]"
    ),
    "the process may have no thread more": (
        "tests/unit/hosts/test_hostile_endings.py::"
        "test_without_any_thread_an_attempt_fails_and_may_be_tried_again[delivers]"
    ),
    "the host ended without waiting for this thread": (
        "tests/unit/hosts/test_closed_loops.py::test_what_goes_on_in_threads_after_the_host_s_loop_is_closed"
    ),
    "a thread outlives its grace": (
        "tests/unit/hosts/test_cancelling.py::test_a_handler_that_goes_on_gives_its_slot_up[delivers-thread]"
    ),
    "a heartbeat is answered after its host's loop is closed": (
        "tests/unit/hosts/test_closed_loops.py::test_what_goes_on_in_threads_after_the_host_s_loop_is_closed"
    ),
    "the message is no job": "tests/unit/hosts/test_serverless.py::test_what_is_no_job_is_told_so['7']",
    "inputs of a claim cannot be read at all": (
        "tests/unit/hosts/test_loading.py::test_a_store_that_raises_what_it_should_not_costs_an_attempt[hints]"
    ),
    "the store does not have what a task needs": (
        "tests/unit/hosts/test_loading.py::test_a_store_that_lacks_an_input_costs_an_attempt[hints]"
    ),
    "an attempt is over while its blobs cannot be read": (
        "tests/unit/hosts/test_large_troubles.py::test_a_cancelled_attempt_is_not_read_for[hints]"
    ),
    "a blob that a task needs is lost": (
        "tests/contract/behaviours/test_blob_faults.py::"
        "test_damage_is_noticed_and_nothing_is_taken_in_its_place[memory-_truncated]"
    ),
    "the input of one task cannot be read at all": (
        "tests/unit/hosts/test_loading.py::test_a_blob_store_that_raises_what_it_should_not_costs_an_attempt[hints]"
    ),
    "a host that polls does not trust its clock": (
        "tests/unit/hosts/test_loops.py::test_a_host_that_does_not_trust_its_clock_claims_nothing[polls]"
    ),
    "a host that takes messages does not trust its clock": (
        "tests/unit/hosts/test_loops.py::test_a_host_that_does_not_trust_its_clock_claims_nothing[takes-messages]"
    ),
    "a host that takes messages recalls tasks": (
        "tests/unit/hosts/test_recalling.py::test_a_lost_answer_costs_a_node_no_attempt[delivers]"
    ),
    "tasks do not end while their host drains": (
        "tests/unit/hosts/test_draining.py::test_a_thread_keeps_its_task_while_its_process_lives[delivers]"
    ),
    "tasks are left to their leases": (
        "tests/unit/hosts/test_draining.py::test_a_thread_keeps_its_task_while_its_process_lives[delivers]"
    ),
    "a host ends before its notes can be written": (
        "tests/unit/hosts/test_note_writing.py::test_a_host_ends_although_its_notes_cannot_be_written"
    ),
    "an attempt annotates without its lease": (
        "tests/contract/behaviours/test_noting.py::test_a_zombie_annotates_nothing[memory]"
    ),
    "the store goes away while notes are written apart": (
        "tests/unit/hosts/test_note_writing.py::test_a_store_that_goes_away_while_notes_are_written_apart"
    ),
    "the store refuses what an attempt noted": (
        "tests/unit/hosts/test_note_writing.py::test_a_refusal_that_nobody_foresaw_takes_no_others_with_it"
    ),
    "what was raised does not say how to go on": (
        "tests/unit/hosts/test_hostile_endings.py::"
        "test_an_exception_that_makes_no_sense_is_retried_as_its_step_says[delivers-hostile-class-async]"
    ),
    "an exception of users may answer as it likes": (
        "tests/unit/hosts/test_hostile_endings.py::test_an_exception_without_a_traceback_is_recorded[hints-async]"
    ),
    "`failure_of` trusts nothing, but memory may be short": (
        "tests/unit/hosts/test_hostile_endings.py::"
        "test_a_failure_that_cannot_be_described_is_recorded_all_the_same[delivers]"
    ),
    "a blob does not hold what a task needs": (
        "tests/unit/hosts/test_payloads.py::test_what_is_missing_in_a_blob_is_said_for_its_task_alone"
    ),
    "a row that a task needs is not there": (
        "tests/unit/hosts/test_payloads.py::test_what_is_missing_is_said_for_its_task_alone"
    ),
    "a function's clock may be too wrong for leases": (
        "tests/unit/hosts/test_serverless.py::test_a_call_with_an_uncertain_clock_takes_on_nothing"
    ),
    "the time of a call is over": (
        "tests/unit/hosts/test_serverless.py::test_a_thread_that_does_not_end_is_left_to_its_lease[delivers]"
    ),
    "a task cannot be given back in time": (
        "tests/unit/hosts/test_serverless.py::test_a_thread_that_does_not_end_is_left_to_its_lease[delivers]"
    ),
    "for how long is unknown, so its slot goes to others": (
        "tests/unit/hosts/test_settling.py::test_a_run_that_stays_locked_does_not_hold_the_others_up"
    ),
    "a run stays locked, and is set apart": (
        "tests/unit/hosts/test_settling.py::test_a_run_that_stays_locked_does_not_hold_the_others_up"
    ),
    "a run is locked for longer than a transaction may wait": (
        "tests/unit/hosts/test_settling.py::test_after_a_lock_timeout_each_run_goes_on_alone"
    ),
    "the task of a run that is set apart raises": (
        "tests/unit/hosts/test_settling.py::test_a_run_that_is_set_apart_goes_on_where_its_task_raises"
    ),
    "something is locked for long: find out which run": (
        "tests/unit/hosts/test_settling.py::test_after_a_lock_timeout_each_run_goes_on_alone"
    ),
    "the host ends while a batch is taken apart": (
        "tests/unit/hosts/test_settling.py::test_a_settler_that_is_cancelled_while_it_takes_a_batch_apart_loses_nothing"
    ),
    "the blob store refuses an output for good": (
        "tests/unit/hosts/test_large_troubles.py::test_an_output_that_is_refused_may_be_tolerated[delivers]"
    ),
    "the elements of a stream are not in the store any more": (
        "tests/unit/hosts/test_streams.py::test_what_is_gone_is_an_error"
    ),
    "there is no thread at all": (
        "tests/unit/hosts/test_hostile_endings.py::"
        "test_without_any_thread_an_attempt_fails_and_may_be_tried_again[delivers]"
    ),
    "no further thread can be started": (
        "tests/unit/hosts/test_hostile_endings.py::"
        "test_without_any_thread_an_attempt_fails_and_may_be_tried_again[delivers]"
    ),
    "a thread that died of what its work raises would be missing": (
        "tests/unit/hosts/virtual/test_turns.py::test_a_host_that_ends_frees_the_threads_that_wait"
    ),
    "the clock may be too wrong for leases": (
        "tests/unit/hosts/test_serverless.py::test_a_call_with_an_uncertain_clock_takes_on_nothing"
    ),
    "messages name what this host has no code or queue for": (
        "tests/unit/hosts/test_node_host.py::test_a_flow_the_host_lacks_is_left_alone[delivers]"
    ),
    "a message comes, and no slot is free": (
        "tests/unit/hosts/test_ticks.py::test_messages_without_a_slot_come_again_at_once"
    ),
    "a task that lost a lease waits for the end of another": (
        "tests/unit/hosts/test_ticks.py::test_one_task_that_lost_a_lease_at_a_time"
    ),
    "an attempt is over while the store fails": (
        "tests/unit/hosts/test_trying.py::test_an_attempt_that_is_over_is_not_worked_for"
    ),
    "the store fails an attempt": "tests/unit/hosts/test_trying.py::test_it_is_tried_until_it_works",
    "an attempt is over before its errand begins": "tests/unit/hosts/test_trying.py::test_a_thread_waits_for_the_loop",
    "a thread asks for something after its host has ended": (
        "tests/unit/hosts/test_trying.py::test_a_thread_that_outlives_its_host_is_told"
    ),
    "an attempt is over while its thread waits": (
        "tests/unit/hosts/test_trying.py::test_a_thread_that_waits_while_its_host_ends_is_told[host]"
    ),
    "a task is known already, or was let go": (
        "tests/unit/hosts/test_recalling.py::test_what_was_let_go_unsettled_is_not_taken_on_again"
    ),
    "the others must not be left behind, whatever is the matter with this one": (
        "tests/unit/hosts/test_hostile_endings.py::"
        "test_a_task_that_cannot_be_begun_does_not_keep_others_from_it[delivers]"
    ),
    "an answer that is under way may still name it": (
        "tests/unit/hosts/test_recalling.py::test_what_ended_while_it_was_asked_for_is_not_begun_again"
    ),
    "a handler does not end within its grace": (
        "tests/unit/hosts/test_cancelling.py::test_a_handler_that_goes_on_gives_its_slot_up[delivers-async]"
    ),
    "a handler that was written off has ended": (
        "tests/unit/hosts/test_cancelling.py::test_a_handler_that_goes_on_gives_its_slot_up[delivers-async]"
    ),
    "the process ends, and threads with it": (
        "tests/unit/hosts/test_draining.py::test_a_process_that_ends_gives_the_tasks_of_threads_back[delivers]"
    ),
    "one run of many is not as it was found": (
        "tests/contract/behaviours/test_bulk_control.py::test_a_run_that_somebody_holds_keeps_no_other_back[memory]"
    ),
    "there is no such task": (
        "tests/unit/kernel/decisions/test_settle.py::test_an_outcome_of_a_task_that_is_gone_changes_nothing"
    ),
    "a step has ended beside its task": (
        "tests/unit/kernel/decisions/test_settle.py::test_in_one_batch_what_completed_counts_before_what_failed"
    ),
    "a task has used up its attempts by losing leases": (
        "tests/contract/behaviours/test_never_again.py::test_a_poison_pill_is_not_delivered_for_ever[memory]"
    ),
    "the rules raise over a run that begins": (
        "tests/unit/kernel/decisions/test_claim_and_handover.py::test_a_run_that_cannot_be_evaluated_fails_alone"
    ),
    "the announcement of a loss is refused as well": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::test_what_comes_right_after_a_loss_is_not_lost[memory]"
    ),
    "the rules raise over a lease that ran out": (
        "tests/contract/behaviours/test_reading_and_trouble.py::"
        "test_the_reaper_is_not_stopped_by_one_broken_run[memory]"
    ),
    "the rules raise over an outcome": (
        "tests/contract/behaviours/test_reading_and_trouble.py::test_a_settle_is_not_stopped_by_one_broken_run[memory]"
    ),
    "the rules raise over its failure as well": (
        "tests/unit/kernel/decisions/test_settle.py::"
        "test_where_the_rules_raise_over_that_failure_as_well_the_run_fails_by_none"
    ),
    "a signal with this key was accepted before": (
        "tests/contract/behaviours/test_signals.py::test_a_resume_token_is_good_for_one_answer[memory]"
    ),
    "the rules raise over the end of a wait": (
        "tests/unit/kernel/decisions/test_wake.py::test_a_run_whose_rules_raise_fails_alone"
    ),
    "a wait is over whose step has ended": (
        "tests/unit/kernel/decisions/test_wake.py::test_a_wait_whose_step_has_ended_is_no_failure_of_its_own"
    ),
    "the store refuses a value of a batch": (
        "tests/contract/behaviours/test_reading_and_trouble.py::"
        "test_contention_in_one_half_keeps_what_the_other_handed_over[memory]"
    ),
    "half of a batch is recorded, and the other half cannot be": (
        "tests/contract/behaviours/test_reading_and_trouble.py::"
        "test_a_half_that_failed_is_repeated_with_the_whole_batch[memory]"
    ),
    "an earlier try of a rerun may have been committed": (
        "tests/contract/behaviours/test_rerunning.py::test_a_lost_rerun_is_recognised_after_further_generations[memory]"
    ),
    "an earlier try of a rerun was committed": (
        "tests/contract/behaviours/test_rerunning.py::test_a_lost_rerun_is_recognised_after_further_generations[memory]"
    ),
    "a scheduled command fails; it concerns no other": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_start_whose_key_was_used_for_another_payload_meanwhile_is_held[memory]"
    ),
    "a tick was fired before the schedule's input was changed": (
        "tests/contract/behaviours/test_schedules.py::test_a_host_dies_while_it_fires_and_the_input_is_changed[memory]"
    ),
    "it was this one, which is left out": (
        "tests/contract/behaviours/test_schedules.py::test_a_host_dies_while_it_fires_and_the_input_is_changed[memory]"
    ),
    "a host with another version of the flow has started the run, and died": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_host_that_dies_during_a_deployment[memory-in its row-after]"
    ),
    "somebody was faster to start what has the key": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_deadline_of_its_own_stays_that_of_the_run_that_got_the_key[memory]"
    ),
    "the run is pruned, or not started yet and not to be any more": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_the_deadline_of_a_run_that_has_not_started_withdraws_its_start[memory-mail-7]"
    ),
    "a start is gone, perhaps because it was carried out meanwhile": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_deadline_counts_although_the_run_starts_while_it_is_looked_for[memory-None]"
    ),
    "nothing is leased for a sink that is stuck here": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::"
        "test_a_sink_that_is_stuck_in_one_process_is_served_by_others[memory-callable]"
    ),
    "the sink refuses one run after the other, and is given a pause": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::test_what_it_did_not_ask_for_is_no_sign_of_life[memory]"
    ),
    "the sink is well again": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::test_what_it_did_not_ask_for_is_no_sign_of_life[memory]"
    ),
    "a shard is lost in the middle of its pages": (
        "tests/contract/behaviours/test_outbox.py::test_a_flusher_that_stood_still_changes_no_order[memory]"
    ),
    "an event is refused for the last time, and is a dead letter": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::test_what_comes_right_after_a_loss_is_not_lost[memory]"
    ),
    "a dead letter is refused again": (
        "tests/contract/behaviours/test_outbox.py::test_a_replay_keeps_the_order_of_each_run_and_is_paced[memory]"
    ),
    "a full page has tasks of locked runs, and others are behind it": (
        "tests/contract/behaviours/test_past_locked_runs.py::"
        "test_lost_leases_of_a_locked_run_stand_before_no_other[memory]"
    ),
    "a scheduled command meets a lock; others wait behind it": (
        "tests/contract/behaviours/test_due_and_locked.py::test_what_is_due_for_a_locked_run_holds_up_nothing[memory]"
    ),
    "a transaction got into another's way, and left no trace": (
        "tests/contract/behaviours/test_reading_and_trouble.py::"
        "test_contention_in_one_half_keeps_what_the_other_handed_over[memory]"
    ),
    "a try after it fails otherwise": (
        "tests/contract/behaviours/test_signals.py::test_a_signal_of_which_nothing_is_known_may_be_repeated[memory]"
    ),
    "a commit stays unknown, however often it is tried": (
        "tests/unit/kernel/test_unknown_effects.py::test_the_input_of_a_run_that_is_not_there_goes_with_it[error1-1]"
    ),
    "the sink is still at a call that was given up": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::"
        "test_a_sink_gets_stuck_while_a_run_is_read_that_it_had_refused[memory]"
    ),
    "the sink answers no number": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::"
        "test_a_sink_that_answers_nonsense_has_accepted_nothing[memory-None]"
    ),
    "the sink answers a number that cannot be": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::"
        "test_a_sink_that_answers_nonsense_has_accepted_nothing[memory-6]"
    ),
    "somebody else looks, too, and keeps what both need to know": (
        "tests/contract/behaviours/test_outliving.py::test_two_hosts_that_look_at_once[memory]"
    ),
    "a try finds the run cancelled already": (
        "tests/contract/behaviours/test_cancelling.py::"
        "test_a_cancel_that_was_lost_before_another_one_is_not_taken_for_it[memory]"
    ),
    "an earlier try of a cancel was committed": (
        "tests/contract/behaviours/test_cancelling.py::test_a_cancel_whose_answer_was_lost_is_known_by_its_time[memory]"
    ),
    "a schedule is as it is to be": (
        "tests/contract/behaviours/test_schedules.py::test_the_same_schedule_again_changes_nothing[memory]"
    ),
    "somebody else was faster to write a schedule": (
        "tests/contract/behaviours/test_schedules.py::test_a_schedule_that_somebody_else_writes_first[memory-new]"
    ),
    "somebody else was faster to defer a start": (
        "tests/contract/behaviours/test_deferring.py::test_a_start_that_somebody_else_defers_first[memory]"
    ),
    "somebody else was faster with a deferred command": (
        "tests/contract/behaviours/test_deferring.py::test_a_start_that_a_host_claims_while_it_is_withdrawn[memory]"
    ),
    "a start is withdrawn whose run was put down by a host that has died": (
        "tests/contract/behaviours/test_deferring.py::test_a_start_is_withdrawn_whose_run_is_there[memory]"
    ),
    "a start is withdrawn or carried out before whoever deferred it is answered": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_start_is_withdrawn_before_whoever_deferred_it_is_answered[memory-before the next try-None]"
    ),
    "a start that is withdrawn cannot be forgotten; whoever comes to it can": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_withdrawn_start_that_cannot_be_forgotten_never_begins[memory-None]"
    ),
    "a signal was sent by an earlier try, whatever has become of it since": (
        "tests/contract/behaviours/test_signals.py::test_a_signal_whose_answer_was_lost_is_recognised[memory-False]"
    ),
    "a start is forgotten by whoever defers another one of its key, which is left alone": (
        "tests/contract/behaviours/test_deferring.py::test_a_key_is_deferred_anew_while_its_start_is_withdrawn[memory]"
    ),
    "the run of a deadline may lie in a transaction of a caller that is still open": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_deadline_comes_before_whoever_starts_its_run_commits[memory-and commits]"
    ),
    "the run is gone whose cancel or signal may have been withdrawn": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_deadline_is_withdrawn_although_an_answer_is_lost[memory-taken-its run is nowhere-None]"
    ),
    "a start is withdrawn that somebody else has withdrawn before": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_withdrawn_start_that_cannot_be_forgotten_never_begins[memory-None]"
    ),
    "a start was withdrawn, and could not be forgotten": (
        "tests/contract/behaviours/test_deferring.py::"
        "test_a_withdrawn_start_that_cannot_be_forgotten_never_begins[memory-mail-7]"
    ),
    "others are always faster": (
        "tests/contract/behaviours/test_schedules.py::test_others_who_are_always_faster[memory]"
    ),
    "a signal is sent again": (
        "tests/contract/behaviours/test_signals.py::test_a_resume_token_is_good_for_one_answer[memory]"
    ),
    "a broken __str__ must not hide the failure it belongs to": (
        "tests/contract/behaviours/test_noting.py::test_fields_that_are_no_json_become_text[memory]"
    ),
    "a metaclass may answer as it likes": (
        "tests/unit/kernel/test_failures.py::test_nothing_about_an_exception_is_trusted[nameless]"
    ),
    "source lines that cannot be read, a hostile __cause__": (
        "tests/unit/kernel/test_failures.py::test_a_traceback_that_cannot_be_made_hides_nothing"
    ),
    "a blob is read again, since the answer may be what was damaged": (
        "tests/contract/behaviours/test_blob_faults.py::"
        "test_damage_is_noticed_and_nothing_is_taken_in_its_place[memory-_truncated]"
    ),
    "a blob is missing": "tests/unit/kernel/test_spilling.py::test_a_blob_is_what_was_written_or_an_error[None]",
    "the store itself finds a blob damaged": (
        "tests/unit/kernel/test_spilling.py::test_what_a_store_finds_damaged_itself_is_a_corrupt_blob"
    ),
    "a blob is not what was written": (
        "tests/contract/behaviours/test_blob_faults.py::"
        "test_damage_is_noticed_and_nothing_is_taken_in_its_place[memory-_truncated]"
    ),
    "whatever a value of users does, it only wanted to be logged": (
        "tests/contract/behaviours/test_noting.py::test_fields_that_are_no_json_become_text[memory]"
    ),
    "the blob is there, written by a try whose answer was lost": (
        "tests/unit/kernel/test_spilling.py::test_a_write_whose_answer_was_lost_meets_its_own_blob"
    ),
    "a client cannot write a blob": (
        "tests/contract/behaviours/test_large_payloads.py::test_start_survives_a_store_that_fails_for_a_moment[memory]"
    ),
    "a subscriber's function raises": (
        "tests/contract/behaviours/test_sinks_in_trouble.py::test_what_comes_right_after_a_loss_is_not_lost[memory]"
    ),
}
"""The test that reaches each of the others, whatever a world draws."""
