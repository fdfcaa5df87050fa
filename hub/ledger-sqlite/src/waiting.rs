//! What waits for whom.

use serde_json::{Value, json};
use sqlx::SqliteConnection;
use truc_ledger::{AtHome, StoreError};
use truc_model::{DocumentUid, Party};

use crate::column::Columns as _;
use crate::fault::store_error;
use crate::write::limit;

/// Scheduled and forwarded recipients of these parties. All parties at once: a limit over several statements would be none.
pub(crate) async fn waiting_for(
    db: &mut SqliteConnection,
    parties: &[Party],
    max: usize,
) -> Result<Vec<(DocumentUid, u32)>, StoreError> {
    let statement = "SELECT document, position FROM recipient INDEXED BY recipient_state \
         WHERE (state = 'scheduled' OR state = 'forwarded') AND party IN (SELECT value FROM json_each($1)) \
         ORDER BY document, position LIMIT $2";
    let parties: Vec<Value> = parties.iter().map(|party| json!(party.to_string())).collect();
    let rows = sqlx::query(statement)
        .bind(Value::Array(parties).to_string())
        .bind(limit(max))
        .fetch_all(db)
        .await
        .map_err(store_error)?;
    rows.iter()
        .map(|row| Ok((row.parsed("document")?, row.count("position")?)))
        .collect()
}

/// How many wait for each party by each system, or are out and not taken.
pub(crate) async fn at_home(db: &mut SqliteConnection) -> Result<Vec<AtHome>, StoreError> {
    let statement = "SELECT r.party, r.system, \
         count(*) FILTER (WHERE r.state = 'scheduled' AND o.place = 'waiting' AND o.attempts = o.failed) AS at_home, \
         count(*) AS open \
         FROM recipient AS r INDEXED BY recipient_state LEFT JOIN outbox AS o ON o.delivery = r.delivery \
         WHERE (r.state = 'scheduled' OR r.state = 'forwarded') AND r.system IS NOT NULL \
         GROUP BY r.party, r.system";
    let rows = sqlx::query(statement).fetch_all(db).await.map_err(store_error)?;
    let mut found: Vec<AtHome> = rows
        .iter()
        .map(|row| {
            let (at_home, open): (u64, u64) = (row.count("at_home")?, row.count("open")?);
            Ok(AtHome {
                party: row.parsed("party")?,
                system: row.parsed("system")?,
                at_home,
                out: open.saturating_sub(at_home),
            })
        })
        .collect::<Result<_, StoreError>>()?;
    found.sort_by(|a, b| (&a.party, &a.system).cmp(&(&b.party, &b.system)));
    Ok(found)
}
