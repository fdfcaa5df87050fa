//! The writing transaction.
//!
//! One advisory lock gives the writers of all hubs their turns: it is taken with the transaction and held until its
//! commit is on disk. Whatever is read after it is as the last writer left it, because READ COMMITTED takes a new
//! picture for every statement; so no two transactions can hand out one message, write one number or fill one
//! inbox, and none can fail because of another (decision 0009). A hub that had the turn before as well has at hand what
//! it wrote then ([`Recent`]).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::PgPool;
use sqlx::postgres::PgRow;
use truc_ledger::body::Body;
use truc_ledger::command::{HubId, SubmissionKey};
use truc_ledger::event::{EventKind, EventRow, GENESIS, Head};
use truc_ledger::limit::{LimitKey, LimitRow};
use truc_ledger::recent::{ALL_MESSAGES_MAX, Recent, at_hand, pending};
use truc_ledger::retention::KeptBody;
use truc_ledger::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow,
};
use truc_ledger::store::{
    AMENDING_MAX, Choice, DeliveryOwner, InboxQueue, NumberKey, RefusalLike, SAME_DOCUMENTS_MAX, Seen, Sought,
};
use truc_ledger::{StoreError, Transaction};
use truc_model::{DeliveryUid, DocumentIdentity, DocumentUid, Party, Sha256, SystemId};

use crate::column::{Columns as _, damaged};
use crate::id::Id;
use crate::save::{column, save};
use crate::session::{Session, Source, Statement, Writer, all, run};
use crate::{kept, limits, next, row, waiting};

/// Begins, waits for the turn, and reads the end of the chain, in one round trip.
const BEGIN: &str =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT turn, seq, hash FROM take_turn()";

pub(crate) struct PostgresTransaction {
    session: Session,
    head: Head,
    shared: Arc<Shared>,
    /// Taken from [`Shared`] and given back with the commit.
    recent: Recent,
    /// Saved and not written yet: see [`Self::db`].
    pending: Option<Changes>,
    /// Digests of which no body is kept; `None`: it was not looked for any.
    new_bodies: Option<BTreeSet<Sha256>>,
}

/// What the transactions of a store have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) writer: Writer,
    pub(crate) recent: Mutex<Recent>,
    /// How many connections were opened for writing: the number of the present one.
    pub(crate) connections: Arc<AtomicU64>,
}

impl Shared {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PostgresTransaction {
    pub(crate) async fn begin(
        pool: &PgPool,
        patience: Duration,
        shared: &Arc<Shared>,
    ) -> Result<Self, StoreError> {
        let (session, rows) = Session::begin(Source::Writer(&shared.writer, pool), BEGIN, patience).await?;
        let row = rows.first().ok_or_else(|| damaged("turn"))?;
        let turn = row.integer("turn")?;
        let head = match row.integer_or_null("seq")? {
            Some(_) => head_of(row)?,
            None => EMPTY,
        };
        let mut recent = std::mem::take(&mut *shared.recent());
        let connection = shared.connections.load(Ordering::Relaxed);
        // Good when the turn before was this hub's as well, and came to its end.
        recent.must_be_good_for(connection, turn - 1);
        recent.is_good_for(connection, turn);
        Ok(Self {
            session,
            head,
            shared: Arc::clone(shared),
            recent,
            pending: None,
            new_bodies: None,
        })
    }

    /// Has all messages at hand from now on, when that is worth while and they are few enough.
    async fn know_all_messages(&mut self) -> Result<(), StoreError> {
        if !self.recent.wants_all_messages() {
            return Ok(());
        }
        let few = limit(ALL_MESSAGES_MAX);
        let statement = "SELECT count(*) FROM (SELECT 1 FROM outbox LIMIT $1) AS o";
        let count = sqlx::query(statement).bind(few + 1);
        let count: Vec<i64> = self.all(count, |row| row.integer("count")).await?;
        let rows = if count.iter().all(|count| *count <= few) {
            Some(
                self.all(sqlx::query("SELECT * FROM outbox ORDER BY delivery"), row::outbox)
                    .await?,
            )
        } else {
            None
        };
        self.recent.has_all_messages(rows);
        Ok(())
    }

    /// Runs a statement and reads its rows.
    pub(crate) async fn all<T>(
        &mut self,
        statement: Statement<'_>,
        read: impl Fn(&PgRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        all(self.db().await?, statement, read).await
    }

    /// The connection, with all that was saved in the tables.
    async fn db(&mut self) -> Result<&mut Session, StoreError> {
        if let Some(changes) = self.pending.take() {
            save(&mut self.session, &changes).await?;
        }
        Ok(&mut self.session)
    }
}

/// The end of a chain that has not begun.
const EMPTY: Head = Head {
    seq: 0,
    hash: GENESIS,
};

/// A limit in a statement.
pub(crate) fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

/// Microseconds of a time, as kept.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn head_of(row: &PgRow) -> Result<Head, StoreError> {
    Ok(Head {
        seq: row.count("seq")?,
        hash: row.digest("hash")?,
    })
}

/// The end of the chain.
pub(crate) async fn head(db: &mut Session) -> Result<Head, StoreError> {
    let statement = sqlx::query("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1");
    let found = all(db, statement, head_of).await?.pop();
    Ok(found.unwrap_or(EMPTY))
}

pub(crate) async fn latest_directory(db: &mut Session) -> Result<Option<DirectoryRow>, StoreError> {
    let statement = sqlx::query("SELECT * FROM directory ORDER BY version DESC LIMIT 1");
    Ok(all(db, statement, row::directory).await?.pop())
}

/// Events of a kind that are about no document, below a number, newest first.
pub(crate) async fn of_hub(
    db: &mut Session,
    kind: EventKind,
    before: Option<u64>,
    max: usize,
) -> Result<Vec<EventRow>, StoreError> {
    let before = before.and_then(|before| i64::try_from(before).ok());
    let statement = "SELECT * FROM event WHERE document IS NULL AND kind = $1 AND seq < $2 \
         ORDER BY seq DESC LIMIT $3";
    let statement = sqlx::query(statement)
        .bind(kind.as_str())
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit(max));
    all(db, statement, row::event).await
}

/// Ids as one parameter.
pub(crate) fn ids<T: Copy + Into<Id>>(of: &[T]) -> Vec<Id> {
    of.iter().map(|uid| (*uid).into()).collect()
}

/// Digests as one parameter.
pub(crate) fn digests(of: &[Sha256]) -> Vec<&[u8]> {
    of.iter().map(|sha256| &sha256.as_bytes()[..]).collect()
}

/// Nearly every document is new in every way: one look says so. The digest alone is more than asked for. Whether a body
/// is kept matters to this back end alone: one that is new will be where it is put. `OFFSET 0` has each key looked up in its
/// index; the planner, thinking that something will be found soon, would walk over the tables instead. The order is
/// there for the index that has it: with no statistics, that of all documents of a sender looks as good.
pub(crate) const SEEN: &str = "SELECT \
     EXISTS (SELECT 1 FROM unnest($1::text[], $2::uuid[]) AS k (system, message_id) CROSS JOIN LATERAL (\
     SELECT 1 FROM submission AS s WHERE s.message_id = k.message_id AND s.system = k.system OFFSET 0) AS s) \
     AS submissions, \
     EXISTS (SELECT 1 FROM unnest($3::text[], $4::text[], $5::bytea[]) AS k (system, message_id, sha256) \
     CROSS JOIN LATERAL (SELECT 1 FROM refusal AS r WHERE r.system = k.system AND r.message_id = k.message_id \
     AND r.sha256 = k.sha256 OFFSET 0) AS r) AS refusals, \
     EXISTS (SELECT 1 FROM unnest($6::text[], $7::text[]) AS k (sender, document_id) CROSS JOIN LATERAL (\
     SELECT 1 FROM document AS d WHERE d.sender = k.sender AND left(d.document_id, 200) = left(k.document_id, 200) \
     AND d.document_id = k.document_id ORDER BY d.held, d.event LIMIT 1) AS d) AS identities, \
     EXISTS (SELECT 1 FROM unnest($8::bytea[]) AS k (sha256) CROSS JOIN LATERAL (\
     SELECT 1 FROM document AS d WHERE d.sha256 = k.sha256 OFFSET 0) AS d) AS digests, \
     EXISTS (SELECT 1 FROM unnest($9::text[], $10::text[]) AS k (sender, number) CROSS JOIN LATERAL (\
     SELECT 1 FROM document AS d WHERE d.sender = k.sender AND d.number IS NOT NULL \
     AND left(d.number, 200) = left(k.number, 200) AND d.number = k.number ORDER BY d.held, d.event LIMIT 1) AS d) \
     AS numbers, \
     EXISTS (SELECT 1 FROM unnest($8::bytea[]) AS k (sha256) CROSS JOIN LATERAL (\
     SELECT 1 FROM body AS b WHERE b.sha256 = k.sha256 OFFSET 0) AS b) AS bodies";

/// In the table of refusals an absent system is the empty text.
fn refusing_system(like: &RefusalLike) -> &str {
    like.system.as_ref().map_or("", |system| system.as_str())
}

fn refused_message(like: &RefusalLike) -> String {
    like.message_id.map_or_else(String::new, |id| id.to_string())
}

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.head)
    }

    async fn seen(&mut self, sought: &Sought) -> Result<Seen, StoreError> {
        let Sought {
            submissions,
            refusals,
            identities,
            digests,
            numbers,
        } = sought;
        let statement = sqlx::query(SEEN)
            .bind(column(submissions, |key| key.system.as_str()))
            .bind(column(submissions, |key| Id::from(key.message_id)))
            .bind(column(refusals, refusing_system))
            .bind(column(refusals, refused_message))
            .bind(column(refusals, |like| &like.sha256.as_bytes()[..]))
            .bind(column(identities, |identity| identity.sender.to_string()))
            .bind(column(identities, |identity| identity.document_id.as_str()))
            .bind(column(digests, |(_, sha256)| &sha256.as_bytes()[..]))
            .bind(column(numbers, |key| key.sender.to_string()))
            .bind(column(numbers, |key| key.number.as_str()));
        let seen = self.all(statement, |row| {
            let seen = Seen {
                submissions: row.flag("submissions")?,
                refusals: row.flag("refusals")?,
                identities: row.flag("identities")?,
                digests: row.flag("digests")?,
                numbers: row.flag("numbers")?,
            };
            Ok((seen, row.flag("bodies")?))
        });
        let Some((seen, bodies)) = seen.await?.pop() else {
            return Ok(Seen::PERHAPS);
        };
        if !bodies {
            self.new_bodies = Some(digests.iter().map(|(_, sha256)| *sha256).collect());
        }
        Ok(seen)
    }

    async fn submissions(&mut self, of: &[SubmissionKey]) -> Result<Vec<SubmissionRow>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT s.* FROM unnest($1::text[], $2::uuid[]) AS k (system, message_id) \
             JOIN submission AS s ON s.message_id = k.message_id AND s.system = k.system";
        let statement = sqlx::query(statement)
            .bind(column(of, |key| key.system.as_str()))
            .bind(column(of, |key| Id::from(key.message_id)));
        self.all(statement, row::submission).await
    }

    async fn refusals(&mut self, like: &[RefusalLike]) -> Result<Vec<RefusalRow>, StoreError> {
        if like.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT r.* FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (system, message_id, sha256) \
             JOIN refusal AS r ON r.system = k.system AND r.message_id = k.message_id AND r.sha256 = k.sha256";
        let statement = sqlx::query(statement)
            .bind(column(like, refusing_system))
            .bind(column(like, refused_message))
            .bind(column(like, |like| &like.sha256.as_bytes()[..]));
        self.all(statement, row::refusal).await
    }

    async fn documents_by_identity(
        &mut self,
        of: &[DocumentIdentity],
    ) -> Result<Vec<DocumentRow>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT d.* FROM unnest($1::text[], $2::text[]) AS k (sender, document_id) \
             CROSS JOIN LATERAL (SELECT * FROM document AS d WHERE d.sender = k.sender \
             AND left(d.document_id, 200) = left(k.document_id, 200) AND d.document_id = k.document_id \
             ORDER BY held, event LIMIT $3) AS d";
        let statement = sqlx::query(statement)
            .bind(column(of, |identity| identity.sender.to_string()))
            .bind(column(of, |identity| identity.document_id.as_str()))
            .bind(limit(SAME_DOCUMENTS_MAX));
        self.all(statement, row::document).await
    }

    async fn documents_by_digest(
        &mut self,
        of: &[(DocumentIdentity, Sha256)],
    ) -> Result<Vec<DocumentRow>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        // OFFSET 0 keeps the planner to the digest's index: an identity may have very many documents.
        let statement = "SELECT d.* FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (sender, document_id, sha256) \
             CROSS JOIN LATERAL (SELECT * FROM document AS d WHERE d.sha256 = k.sha256 OFFSET 0) AS d \
             WHERE d.sender = k.sender AND d.document_id = k.document_id";
        let statement = sqlx::query(statement)
            .bind(column(of, |(identity, _)| identity.sender.to_string()))
            .bind(column(of, |(identity, _)| identity.document_id.as_str()))
            .bind(column(of, |(_, sha256)| &sha256.as_bytes()[..]));
        self.all(statement, row::document).await
    }

    async fn documents_by_number(&mut self, of: &[NumberKey]) -> Result<Vec<DocumentRow>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT d.* FROM unnest($1::text[], $2::text[]) AS k (sender, number) \
             CROSS JOIN LATERAL (SELECT * FROM document AS d WHERE d.sender = k.sender AND d.number IS NOT NULL \
             AND left(d.number, 200) = left(k.number, 200) AND d.number = k.number ORDER BY held, event DESC LIMIT $3) AS d";
        let statement = sqlx::query(statement)
            .bind(column(of, |key| key.sender.to_string()))
            .bind(column(of, |key| key.number.as_str()))
            .bind(limit(SAME_DOCUMENTS_MAX));
        self.all(statement, row::document).await
    }

    async fn documents(&mut self, uids: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError> {
        let (mut found, elsewhere) = at_hand(uids, |uid| self.recent.document(uid).cloned());
        if !elsewhere.is_empty() {
            let statement = sqlx::query("SELECT * FROM document WHERE uid = ANY($1::uuid[])");
            found.extend(self.all(statement.bind(ids(&elsewhere)), row::document).await?);
        }
        Ok(found)
    }

    async fn amending(&mut self, of: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT d.* FROM unnest($1::uuid[]) AS k (uid) CROSS JOIN LATERAL \
             (SELECT * FROM document AS d WHERE d.amends = k.uid ORDER BY event LIMIT $2) AS d";
        let statement = sqlx::query(statement).bind(ids(of)).bind(limit(AMENDING_MAX));
        self.all(statement, row::document).await
    }

    async fn known_ids(&mut self, of: &[String]) -> Result<Vec<String>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT k.id FROM unnest($1::text[]) AS k (id) CROSS JOIN LATERAL \
             (SELECT 1 FROM document AS d WHERE left(d.document_id, 200) = left(k.id, 200) AND d.document_id = k.id LIMIT 1) AS d";
        let statement = sqlx::query(statement).bind(of);
        self.all(statement, |row| row.text("id")).await
    }

    async fn recipients_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<RecipientRow>, StoreError> {
        let (found, elsewhere) = at_hand(documents, |uid| self.recent.recipients(uid).map(<[_]>::to_vec));
        let mut found: Vec<RecipientRow> = found.into_iter().flatten().collect();
        if !elsewhere.is_empty() {
            let statement =
                "SELECT * FROM recipient WHERE document = ANY($1::uuid[]) ORDER BY document, position";
            let statement = sqlx::query(statement).bind(ids(&elsewhere));
            found.extend(self.all(statement, row::recipient).await?);
        }
        Ok(found)
    }

    async fn recipients_by_delivery(&mut self, of: &[DeliveryUid]) -> Result<Vec<RecipientRow>, StoreError> {
        let (found, elsewhere) = at_hand(of, |delivery| {
            let rows = self.recent.recipients_by_delivery(delivery)?;
            Some(rows.cloned().collect::<Vec<_>>())
        });
        let mut found: Vec<RecipientRow> = found.into_iter().flatten().collect();
        if !elsewhere.is_empty() {
            let statement = sqlx::query("SELECT * FROM recipient WHERE delivery = ANY($1::uuid[])");
            found.extend(self.all(statement.bind(ids(&elsewhere)), row::recipient).await?);
        }
        Ok(found)
    }

    async fn statuses_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<StatusRow>, StoreError> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT * FROM status WHERE document = ANY($1::uuid[]) ORDER BY document, event";
        self.all(sqlx::query(statement).bind(ids(documents)), row::status)
            .await
    }

    async fn outbox(&mut self, deliveries: &[DeliveryUid]) -> Result<Vec<OutboxRow>, StoreError> {
        let (mut found, elsewhere) = at_hand(deliveries, |uid| self.recent.message(uid).cloned());
        if !elsewhere.is_empty() {
            let statement = sqlx::query("SELECT * FROM outbox WHERE delivery = ANY($1::uuid[])");
            found.extend(self.all(statement.bind(ids(&elsewhere)), row::outbox).await?);
        }
        Ok(found)
    }

    async fn delivery_owners(&mut self, of: &[DeliveryUid]) -> Result<Vec<DeliveryOwner>, StoreError> {
        let (mut found, elsewhere) = at_hand(of, |delivery| self.recent.owner(delivery));
        if elsewhere.is_empty() {
            return Ok(found);
        }
        let statement = "SELECT DISTINCT delivery, system, document, false AS is_status FROM recipient \
             WHERE delivery = ANY($1::uuid[]) AND system IS NOT NULL \
             UNION ALL SELECT delivery, to_system, document, true FROM status \
             WHERE delivery = ANY($1::uuid[]) AND to_system IS NOT NULL";
        let owners = self.all(sqlx::query(statement).bind(ids(&elsewhere)), |row| {
            Ok(DeliveryOwner {
                delivery: row.id("delivery")?,
                system: row.parsed("system")?,
                document: row.id("document")?,
                is_status: row.flag("is_status")?,
            })
        });
        found.extend(owners.await?);
        Ok(found)
    }

    async fn inbox_queues(
        &mut self,
        now: Timestamp,
        room: usize,
        max: usize,
    ) -> Result<Vec<InboxQueue>, StoreError> {
        waiting::inbox_queues(self.db().await?, now, room, max).await
    }

    async fn next_out(&mut self, choice: &Choice<'_>) -> Result<Vec<OutboxRow>, StoreError> {
        self.know_all_messages().await?;
        match self.recent.next_out(choice) {
            Some(rows) => Ok(rows),
            None => next::next_out(self.db().await?, choice).await,
        }
    }

    async fn answers_but(
        &mut self,
        now: Timestamp,
        max: usize,
        resting: &[SystemId],
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.know_all_messages().await?;
        if let Some(rows) = self.recent.answers_but(now, max, resting) {
            return Ok(rows);
        }
        let resting: Vec<&str> = resting.iter().map(|system| system.as_str()).collect();
        let statement = "SELECT * FROM outbox WHERE NOT awaits_taken AND \
             (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
             AND system <> ALL($3::text[]) ORDER BY event, line LIMIT $2";
        let statement = sqlx::query(statement)
            .bind(micros(now))
            .bind(limit(max))
            .bind(resting);
        self.all(statement, row::outbox).await
    }

    async fn waiting_answers(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE NOT awaits_taken AND \
             (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
             ORDER BY event, line LIMIT $2";
        let statement = sqlx::query(statement).bind(micros(now)).bind(limit(max));
        self.all(statement, row::outbox).await
    }

    async fn waiting_orders(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        if let Some(rows) = self.recent.waiting_orders(now, max) {
            return Ok(rows);
        }
        let statement = "SELECT * FROM outbox WHERE awaits_taken AND priority = 5 AND place <> 'forwarded' \
             AND NOT recalled AND \
             (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
             ORDER BY event, line LIMIT $2";
        let statement = sqlx::query(statement).bind(micros(now)).bind(limit(max));
        self.all(statement, row::outbox).await
    }

    async fn not_taken(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE place = 'forwarded' AND NOT alerted AND moment < $1 \
             AND NOT recalled ORDER BY moment, event, line LIMIT $2";
        let statement = sqlx::query(statement).bind(micros(before)).bind(limit(max));
        self.all(statement, row::outbox).await
    }

    async fn forwarded_to(&mut self, system: &SystemId, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE awaits_taken AND system = $1 AND place = 'forwarded' \
             AND NOT recalled ORDER BY moment, event, line LIMIT $2";
        let statement = sqlx::query(statement).bind(system.as_str()).bind(limit(max));
        self.all(statement, row::outbox).await
    }

    async fn waiting_for(
        &mut self,
        parties: &[Party],
        max: usize,
    ) -> Result<Vec<(DocumentUid, u32)>, StoreError> {
        waiting::waiting_for(self.db().await?, parties, max).await
    }

    async fn bodies(&mut self, of: &[Sha256]) -> Result<Vec<(Sha256, Body)>, StoreError> {
        let (mut found, elsewhere) = at_hand(of, |sha256| Some((sha256, self.recent.body(sha256)?)));
        if !elsewhere.is_empty() {
            let statement = "SELECT sha256, size, bytes FROM body WHERE sha256 = ANY($1::bytea[])";
            let bodies = self.all(sqlx::query(statement).bind(digests(&elsewhere)), |row| {
                Ok((row.digest("sha256")?, kept::body(row)?))
            });
            found.extend(bodies.await?);
        }
        Ok(found)
    }

    fn has_at_hand(&self, body: Sha256) -> bool {
        self.recent.body(body).is_some()
    }

    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = sqlx::query(kept::APART).bind(digests(of));
        self.all(statement, |row| row.digest("sha256")).await
    }

    async fn kept_bodies_of(&mut self, of: &[Sha256]) -> Result<Vec<KeptBody>, StoreError> {
        kept::kept(self.db().await?, of).await
    }

    async fn limits(&mut self, keys: &[LimitKey]) -> Result<Vec<LimitRow>, StoreError> {
        limits::of(self.db().await?, keys).await
    }

    async fn release_leases(&mut self, owner: &HubId) -> Result<u64, StoreError> {
        let statement = "UPDATE outbox SET place = 'waiting', moment = NULL, owner = NULL \
             WHERE owner = $1 AND (place = 'leased' AND awaits_taken OR place = 'leased' AND NOT awaits_taken)";
        self.recent.forget();
        run(self.db().await?, sqlx::query(statement).bind(owner.as_str())).await
    }

    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        latest_directory(self.db().await?).await
    }

    async fn latest_of_hub(&mut self, kind: EventKind) -> Result<Option<EventRow>, StoreError> {
        Ok(of_hub(self.db().await?, kind, None, 1).await?.pop())
    }

    async fn save(&mut self, changes: Changes) -> Result<(), StoreError> {
        if let Some(last) = changes.events.last() {
            self.head = Head {
                seq: last.seq,
                hash: last.hash,
            };
        }
        if let Some(pending) = &mut self.pending
            && pending::moves_messages_alone(&changes)
        {
            self.recent.follow(&changes, false);
            pending::add(pending, changes);
            return Ok(());
        }
        let is_new = |(sha256, body): &(Sha256, Body)| {
            let new = self.new_bodies.as_ref();
            body.here().is_some() && new.is_some_and(|new| new.contains(sha256))
        };
        let all_new = changes.bodies.iter().all(is_new);
        let db = self.db().await?;
        if all_new {
            self.recent.follow(&changes, true);
            self.pending = Some(changes);
        } else {
            let bodies_are_new = save(db, &changes).await?;
            self.recent.follow(&changes, bodies_are_new);
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.db().await?;
        let Self {
            session,
            shared,
            recent,
            ..
        } = *self;
        // Before the connection is free for the next one.
        session.end("COMMIT", || *shared.recent() = recent).await
    }
}
