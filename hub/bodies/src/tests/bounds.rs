//! The edges of what one step goes through: beyond it nothing is lost, it waits.

use std::sync::Arc;

use truc_model::{Clock as _, Sha256};
use uuid::Uuid;

use super::{Kit, Rows, bytes, open, system};
use crate::limits::{Bounds, PIN_HOLDS_S, SESSIONS_MAX};
use crate::{Began, BodyError, Finished, From, Removal, Settings, StoredBodies};

impl Kit {
    /// A store whose steps go through fewer.
    async fn bounded(bounds: Bounds) -> Self {
        let mut kit = Self::new().await;
        Arc::get_mut(&mut kit.store.inner).unwrap().bounds = bounds;
        kit
    }

    /// Writes an empty record by its key.
    fn write(&self, key: &object_store::path::Path) {
        let path = self.folder.path().join(key.as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
}

/// A body of a number: its bytes are the number.
async fn stored(kit: &Kit, number: u8) -> Sha256 {
    let who = system("so-tnmt");
    let body = kit.store.put(&who, &[number]).await.unwrap();
    let pin = kit.store.pin(&who, body, 1).await.unwrap();
    pin.named(&kit.store).await.unwrap();
    body
}

#[tokio::test]
async fn digests_of_idle_uploads_are_forgotten_and_those_in_use_are_not() {
    let kit = Kit::new().await;
    let who = system("so-tnmt");
    let data = bytes(1, 1000);
    let body = Sha256::of(&data);
    let Began::Writing(mut writer) = kit.store.begin(&who, body, 1000, From::Start).await.unwrap() else {
        panic!("it is there already");
    };
    writer.write(&data[..400]).await.unwrap();
    writer.finish().await.unwrap();
    let busy_body = Sha256::of(b"busy");
    let busy = kit.store.begin(&who, busy_body, 4, From::Start).await.unwrap();
    let in_use = kit.store.session(&who, busy_body);
    let count = || kit.store.inner.sessions.lock().unwrap().len();
    for number in count()..SESSIONS_MAX {
        kit.store
            .session(&system("xa-a"), Sha256::of(&number.to_le_bytes()));
    }
    assert_eq!(count(), SESSIONS_MAX);
    kit.store.session(&system("xa-a"), Sha256::of(b"one more"));
    // The one in use, and the new one.
    assert_eq!(count(), 2);
    assert!(Arc::ptr_eq(&in_use, &kit.store.session(&who, busy_body)));
    drop(busy);
    // What was forgotten is read again from its file.
    let Began::Writing(mut writer) = kit.store.begin(&who, body, 1000, From::At(400)).await.unwrap() else {
        panic!("it is there already");
    };
    writer.write(&data[400..]).await.unwrap();
    assert_eq!(writer.finish().await.unwrap(), Finished::Stored { size: 1000 });
}

#[tokio::test]
async fn a_pin_behind_many_that_ended_still_holds() {
    const PINS: usize = 5;
    let bounds = Bounds {
        pins: PINS,
        ..Bounds::default()
    };
    for (ended, first) in [(PINS - 1, Removal::Removed), (PINS, Removal::Pinned)] {
        let kit = Kit::bounded(bounds).await;
        let body = stored(&kit, 1).await;
        let long_ago = kit.clock.now().as_second() - PIN_HOLDS_S;
        for number in 0..ended {
            let id = Uuid::from_u128(u128::try_from(number).unwrap());
            kit.write(&crate::keys::pin(&body, long_ago, id));
        }
        // Those of others stand in the same folder and count for nothing.
        for number in 0..3 * PINS {
            let mut other = *body.as_bytes();
            other[31] ^= 1;
            let id = Uuid::from_u128(u128::try_from(number).unwrap());
            kit.write(&crate::keys::pin(
                &Sha256::from_bytes(other),
                long_ago + PIN_HOLDS_S,
                id,
            ));
        }
        let none = Rows::default();
        assert_eq!(
            kit.store.remove(body, &none).await.unwrap(),
            first,
            "{ended} ended"
        );
        // Those that ended were taken off: the next look sees what is behind them.
        let second = kit.store.remove(body, &none).await.unwrap();
        let gone = [Removal::Removed, Removal::Absent];
        assert!(gone.contains(&second), "{ended} ended, then {second:?}");
    }
}

#[tokio::test]
async fn all_pins_of_a_life_before_end_however_many() {
    let kit = Kit::new().await;
    let body = stored(&kit, 1).await;
    for number in 0..crate::limits::PINS_MAX + 1 {
        let id = Uuid::from_u128(u128::try_from(number).unwrap());
        kit.write(&crate::keys::pin(&body, kit.clock.now().as_second(), id));
    }
    let kit = kit.restarted().await;
    let removal = kit.store.remove(body, &Rows::default()).await.unwrap();
    assert_eq!(removal, Removal::Removed);
}

#[tokio::test]
async fn a_body_of_more_systems_than_are_looked_at_stays() {
    const OWNERS: usize = 4;
    let bounds = Bounds {
        owners: OWNERS,
        ..Bounds::default()
    };
    for (owners, expected) in [(OWNERS - 1, Removal::Removed), (OWNERS, Removal::Awaited)] {
        let kit = Kit::bounded(bounds).await;
        let body = stored(&kit, 1).await;
        for number in 1..owners {
            kit.write(&crate::keys::owner(&body, &system(&format!("xa-{number}"))));
        }
        let removal = kit.store.remove(body, &Rows::default()).await.unwrap();
        assert_eq!(removal, expected, "{owners} systems");
        let stays = kit.store.is_owner(&system("so-tnmt"), body).await.unwrap();
        assert_eq!(stays, expected == Removal::Awaited);
    }
}

#[tokio::test]
async fn one_sweep_goes_on_with_so_many_removals_and_the_next_with_the_others() {
    const CONDEMNED: u8 = 3;
    let kit = Kit::bounded(Bounds {
        condemned: usize::from(CONDEMNED),
        ..Bounds::default()
    })
    .await;
    let mut bodies = Vec::new();
    for number in 0..=CONDEMNED {
        let body = stored(&kit, number).await;
        // A hub was killed in the middle of its removal.
        kit.write(&crate::keys::condemned(&body));
        bodies.push(body);
    }
    for removed in [usize::from(CONDEMNED), 1, 0] {
        let swept = kit.store.sweep(&Rows::default()).await.unwrap();
        assert_eq!(swept.removed, removed);
    }
    for body in bodies {
        assert_eq!(kit.store.size(body).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_listing_holds_no_more_than_it_gives_and_misses_nothing() {
    let kit = Kit::new().await;
    // All in one shard, as if it were a large store.
    let mut all: Vec<Sha256> = (0..40_u8)
        .map(|number| {
            let mut name = *Sha256::of(&[number]).as_bytes();
            name[0] = 0xab;
            Sha256::from_bytes(name)
        })
        .collect();
    for body in &all {
        kit.write(&crate::keys::object(body));
    }
    all.sort();
    for limit in [1, 7, 40, 41] {
        let mut found: Vec<Sha256> = Vec::new();
        loop {
            let some = kit.store.list(found.last().copied(), limit).await.unwrap();
            assert!(some.len() <= limit);
            if some.is_empty() {
                break;
            }
            found.extend(some.iter().map(|listed| listed.sha256));
        }
        assert_eq!(found, all, "{limit} at once");
    }
}

#[tokio::test]
async fn a_probe_sees_that_the_folder_is_another() {
    let kit = Kit::new().await;
    assert!(kit.store.probe().await.unwrap() > 0);
    assert!(!kit.folder.path().join("probe").exists());
    // A second store in its place, while the first still runs.
    std::fs::remove_file(kit.folder.path().join("lock")).unwrap();
    assert!(matches!(kit.store.probe().await, Err(BodyError::Moved)));
    let other = open(kit.store.settings().clone(), &kit.clock).await.unwrap();
    assert!(matches!(kit.store.probe().await, Err(BodyError::Moved)));
    assert!(other.probe().await.is_ok());
}

#[tokio::test]
async fn who_looks_takes_no_part() {
    let kit = Kit::new().await;
    let body = stored(&kit, 1).await;
    let settings = kit.store.settings().clone();
    let look = |settings| {
        let random = Arc::new(truc_model::SeededRandom::new(1));
        StoredBodies::local(settings, Arc::clone(&kit.clock) as _, random)
    };
    // Beside the hub that has the directory.
    let bodies = look(settings.clone()).unwrap();
    assert_eq!(bodies.size(body).await.unwrap(), Some(1));
    assert_eq!(bodies.verify(body).await.unwrap(), Some(1));
    assert_eq!(bodies.size(Sha256::of(b"other")).await.unwrap(), None);
    std::fs::write(kit.store.path(crate::keys::object(&body).as_ref()), [2]).unwrap();
    assert!(matches!(bodies.verify(body).await, Err(BodyError::Damaged)));
    // Where there is none, none is made.
    let elsewhere = kit.folder.path().join("elsewhere");
    let nothing = look(Settings {
        dir: elsewhere.clone(),
        ..settings
    });
    assert!(nothing.is_err());
    assert!(!elsewhere.exists());
}
