//! The contract every back end passes: one suite, run by the memory twin and by each database.
//!
//! A back end's tests say how to open a store and call [`crate::contract_tests!`]; every case is then a test
//! of its own there. Cases know nothing of how rows are kept: they speak to [`crate::Ledger`], and to
//! [`crate::Store`] where a crash is meant.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test suite: each case is named for what it checks, and fails by panicking"
)]

pub mod aged;
pub mod alerts;
pub mod apart;
pub mod broadcast;
pub mod change_kit;
pub mod changes;
pub mod documents;
pub mod forwarding;
pub mod histories;
#[cfg(test)]
mod interleavings;
pub mod kit;
pub mod limits;
#[cfg(test)]
mod lives;
pub mod next;
pub mod operator;
pub mod questions;
pub mod reorganise;
pub mod retention;
pub mod signatures;
pub mod statuses;
pub mod taken;
pub mod trust;
pub mod updates;
pub mod whole;

use std::sync::Arc;

use async_trait::async_trait;

use crate::memory::MemoryStore;
use crate::store::Store;

/// Where a case finds its ledger: fresh at first, and the same data at every opening.
#[async_trait]
pub trait Bench: Send + Sync {
    /// Opens the store, as a process that starts would.
    async fn open(&self) -> Arc<dyn Store>;
}

/// The bench of the memory twin.
#[derive(Debug, Default)]
pub struct MemoryBench(MemoryStore);

#[async_trait]
impl Bench for MemoryBench {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

/// Makes a test of every case of the contract; the argument makes a fresh [`Bench`].
#[macro_export]
macro_rules! contract_tests {
    ($bench:expr) => {
        $crate::contract_tests! { @cases $bench;
            next {
                what_goes_out_next_is_found_the_same_in_every_way,
                an_inbox_that_rests_holds_up_nobody,
            }
            documents {
                a_document_is_accepted_with_all_that_belongs_to_it,
                the_same_key_and_bytes_get_the_first_receipt_again,
                the_same_key_with_other_bytes_is_refused_and_counted_once,
                a_refusal_does_not_bind_the_key,
                what_was_accepted_stays_accepted_whatever_a_check_says_later,
                an_unregistered_system_is_recorded_and_not_answered,
                a_refusal_needs_a_finding,
                the_same_document_under_another_key_is_a_repeat,
                another_document_under_the_same_identity_is_parked,
                another_document_under_the_same_identity_can_be_refused,
                another_document_under_the_same_identity_can_be_delivered,
                an_update_does_not_conflict,
                a_repeated_number_is_warned_of,
                several_codes_of_one_party_are_one_recipient,
                an_undeliverable_recipient_does_not_hold_up_the_others,
                a_marking_of_secrecy_parks_everything,
                a_split_agency_parks_its_delivery_alone,
                doubles_within_one_batch_are_accepted_once,
                a_hostile_reuse_of_one_identity_stays_bounded,
            }
            forwarding {
                urgent_first_then_oldest,
                an_inbox_holds_its_window_and_urgent_ones_a_little_more,
                answers_have_no_window_and_are_done_when_forwarded,
                a_claim_ends_at_its_bytes_but_gives_one,
                a_lease_keeps_others_away_until_it_ends,
                leases_of_a_former_life_are_released,
                a_confirm_moves_all_recipients_of_the_message,
                a_second_attempt_counts_and_a_repeated_confirm_does_not,
                a_failed_publish_waits_for_its_next_try,
                a_damaged_body_does_not_leave_and_does_not_hold_up_others,
                a_resend_schedules_again_what_is_open,
                what_lay_in_a_lost_inbox_goes_again,
                an_alert_is_raised_once_for_each_forwarding,
                the_bell_rings_when_something_can_be_forwarded,
            }
            broadcast {
                each_recipient_of_a_broadcast_stands_for_itself,
                a_notice_says_how_many_of_a_broadcast_have_it,
                what_concerns_a_whole_broadcast_sees_all_of_it,
            }
            taken {
                a_delivery_is_taken_once,
                taken_right_after_scheduled,
                only_the_system_it_is_for_can_take_it,
                a_declined_delivery_ends_and_the_sender_is_told,
                taken_and_declined_contradict_each_other,
                a_status_on_its_way_is_taken_or_declined,
                too_many_deliveries_in_one_message,
            }
            statuses {
                a_status_reaches_the_sender_once,
                states_follow_the_table_and_never_step_back,
                a_new_assignment_is_passed_on,
                a_take_back_runs_the_other_way_and_its_answer_back,
                a_status_of_the_recipient_implies_taken_for_it_alone,
                a_status_for_an_unknown_document_is_kept_and_refused,
                a_status_of_a_stranger_is_kept_and_refused,
                a_document_is_found_by_its_number_too,
                one_identity_of_several_documents,
                a_status_within_the_batch_of_its_document,
                a_status_repeats_by_its_key,
                the_other_partys_present_system_gets_it,
            }
            changes {
                what_never_left_is_withdrawn_and_nothing_is_sent,
                what_waits_for_an_operator_is_withdrawn_too,
                an_order_overtakes_what_lies_in_the_inbox,
                a_full_inbox_takes_an_order_all_the_same,
                a_message_ordered_back_is_never_published_again,
                what_surely_did_not_leave_is_withdrawn,
                a_message_partly_ordered_back_goes_on_to_the_others,
                whoever_has_it_is_asked_and_answers,
                what_ended_elsewhere_is_not_asked_for,
                orders_that_make_no_sense_have_their_codes,
                a_take_back_is_a_recall_of_one,
                words_that_contradict_are_recorded_and_the_first_stands,
                a_status_in_time_wins_over_the_order,
                bytes_go_with_their_last_holder,
                an_inbox_nobody_reads_is_cleaned,
                an_agency_that_took_over_can_recall_and_be_recalled_from,
                an_order_within_the_batch_of_its_document,
            }
            updates {
                an_update_follows_its_document_and_is_answered,
                every_order_has_its_own_answer,
                the_later_text_of_a_recalled_document_goes_with_it,
                an_update_stays_while_it_has_a_word_to_bring,
                an_order_names_all_it_takes_back_or_each_with_its_codes,
                an_update_adds_and_removes_recipients,
                a_recall_ends_updates_that_did_not_leave,
                an_update_after_a_recall_is_left_out,
                an_update_waits_with_its_document,
                a_replacement_takes_the_place,
                a_closed_code_goes_to_its_successor_for_a_time,
            }
            questions {
                lists_and_filters,
                names_are_found_by_their_beginning,
                a_search_says_how_far_it_looked,
                lists_of_days_are_whole,
                a_text_finds_its_document,
                a_document_as_a_whole,
                refusals_are_listed,
                inboxes_are_counted,
                directories_have_versions,
                notes_are_events,
                the_balance_per_sender_and_period,
                an_agency_sees_its_part_of_the_balance,
            }
            signatures {
                documents_are_counted_by_who_answers_for_them,
                attached_pdfs_are_counted_by_their_word,
            }
            operator {
                what_was_never_sent_is_held_and_let_go,
                what_may_be_out_is_not_held_nor_rerouted,
                a_reroute_goes_to_the_new_one_alone,
                a_held_document_is_released_by_whoever_may,
                what_is_closed_is_closed_for_good,
                what_waits_for_too_long_is_listed,
            }
            reorganise {
                what_waits_follows_and_what_is_out_stays,
                a_successor_that_is_a_recipient_gets_it_once,
                a_split_is_held_and_an_end_is_told,
                a_reorganisation_is_carried_out_once,
            }
            retention {
                a_body_goes_in_its_time_and_stays_provable,
                what_is_open_is_kept_for_ever,
                packets_statuses_and_refused_ones_have_their_own_times,
                a_body_of_two_documents_goes_with_the_last,
                a_deletion_is_bounded,
            }
            apart {
                a_body_apart_goes_the_whole_way_without_its_bytes,
                bodies_apart_cost_a_claim_nothing,
                a_recall_lets_a_body_apart_leave,
                a_body_that_leaves_is_kept_again_when_it_is_named_anew,
                one_digest_is_in_one_place,
                a_body_apart_goes_in_its_time,
                words_about_leaving_bodies_are_bounded,
                whoever_sends_or_gets_a_body_may_read_it,
            }
            limits {
                limits_run_from_taken_until_they_are_met,
                an_answer_is_expected_of_who_has_the_document,
                each_level_is_told_once,
                an_order_itself_is_not_to_be_accepted,
                an_update_is_a_document_to_those_it_adds,
                what_is_late_is_listed_by_urgency_age_and_party,
                too_many_limits_in_one_call,
                documents_that_came_late_are_listed,
            }
            alerts {
                an_alert_is_raised_once_grows_and_ends,
                what_is_parked_raises_an_alert_in_the_same_commit,
                odd_words_and_lost_inboxes_raise_alerts,
                orders_and_what_they_say_are_bounded,
                lines_of_a_kind_gather_in_one_message,
                what_ends_before_it_is_told_is_one_line,
                a_change_is_told_by_one_hub,
                a_message_is_sent_by_one_hub_at_a_time,
                a_channel_has_an_allowance,
                what_fails_too_often_is_a_dead_letter,
                dead_letters_have_a_most,
                troubles_of_inboxes_are_counted,
            }
            trust {
                trust_is_told_when_it_changes,
                an_event_about_trust_is_bounded,
                events_of_the_hub_are_listed_by_kind,
            }
            whole {
                nothing_is_left_of_a_dropped_transaction,
                what_is_saved_is_seen_in_its_transaction,
                a_picture_does_not_change,
                reopening_keeps_everything,
                many_submissions_share_a_commit,
                a_batch_is_cut_by_count_and_bytes,
                events_have_no_gaps_under_concurrency,
                one_that_cannot_succeed_does_not_take_the_others_along,
                the_ledger_is_sound_and_every_event_reads_back,
                a_store_knows_nothing_at_first,
            }
            histories {
                random_histories_balance_at_every_step,
            }
        }
    };
    (@cases $bench:expr; $($module:ident { $($case:ident,)* })*) => {
        $(mod $module {
            #[allow(unused_imports, reason = "the bench may come from the enclosing module")]
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::contract::$module::$case(&$bench).await;
                }
            )*
        })*
    };
}

#[cfg(test)]
mod memory_twin {
    use super::MemoryBench;

    crate::contract_tests!(MemoryBench::default());
}
