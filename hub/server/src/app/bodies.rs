//! Bodies apart in a running hub: the store, the HTTP service, and the part that deletes what nobody names any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use truc_bodies::BodyStore;
use truc_ledger::Ledger;
use truc_model::{Clock, Random};

use super::{AppError, broker_config};
use crate::config::Config;
use crate::flow::bodies::{Bodies, Rows};
use crate::flow::rules::Rules;
use crate::web::{self, BrokerLogin, Logins, Service};

/// The store that the configuration describes, for the flow; `None` when no body travels apart.
///
/// # Errors
/// [`AppError::Bodies`].
pub(super) async fn open(
    config: &Config,
    ledger: &Ledger,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<Option<Bodies>, AppError> {
    let opened = web::open_store(&config.bodies, Arc::clone(clock), Arc::clone(random)).await?;
    Ok(opened.map(|store| of(store, ledger, clock)))
}

fn of(store: BodyStore, ledger: &Ledger, clock: &Arc<dyn Clock>) -> Bodies {
    Bodies {
        store,
        ledger: ledger.clone(),
        clock: Arc::clone(clock),
    }
}

/// Begins to serve bodies and to clear up after them.
///
/// # Errors
/// [`AppError::Bodies`] when the service cannot listen, [`AppError`] when nobody could be logged in.
pub(super) async fn start(
    bodies: &Bodies,
    config: &Config,
    random: &dyn Random,
    rules: watch::Receiver<Arc<Rules>>,
    parts: &mut JoinSet<Result<(), AppError>>,
    stop: &watch::Receiver<bool>,
) -> Result<(), AppError> {
    let Some(listener) = web::bind(&config.bodies).await? else {
        return Ok(());
    };
    let renew = {
        let config = config.clone();
        move || broker_config(&config, "login").ok()
    };
    let login = BrokerLogin::new(broker_config(config, "login")?, Arc::new(renew));
    let service = Arc::new(Service::new(
        bodies.store.clone(),
        Logins::new(Arc::new(login), Arc::clone(&bodies.clock), random),
        Arc::new(rules),
        Arc::new(Rows(bodies.ledger.clone())),
        config.bodies.clone(),
    ));
    let serve_stop = stop.clone();
    parts.spawn(async move { Ok(web::serve(listener, service, serve_stop).await?) });
    let (collector, every) = (bodies.clone(), Duration::from_secs(config.bodies.sweep_s.max(1)));
    let collect_stop = stop.clone();
    parts.spawn(async move {
        collector.collect(every, collect_stop).await;
        Ok(())
    });
    Ok(())
}
