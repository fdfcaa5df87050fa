//! Reaching a broker, or not: wrong logins, silent peers, TLS, and the states one sees meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use truc_transport::{AmqpBroker, Broker, BrokerError, BrokerState, PublishError, QueueType, Topology};

use crate::world::{
    World, calm_node, config, connect, deliver, fresh_vhost, keep, ready, soon, submit, system_a, system_b,
    until,
};

#[tokio::test]
async fn wrong_logins_are_refused_in_the_brokers_words() {
    let node = &calm_node().await.node;
    let vhost = fresh_vhost().await;
    let refused = |url: String| async move {
        let error = AmqpBroker::connect(config(&url)).await.err();
        match error {
            Some(BrokerError::Refused { reply }) => reply,
            other => panic!("{other:?}"),
        }
    };
    let reply = refused(node.amqp_url("truc-admin", "wrong", &vhost)).await;
    assert!(reply.contains("ACCESS_REFUSED"), "{reply}");
    assert!(!reply.contains("wrong"), "{reply}");
    let reply = refused(node.admin_amqp_url("no such place")).await;
    assert!(reply.contains("no such place"), "{reply}");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    // Bound and let go: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("amqp://hub:s3cret@{address}/");
    let error = AmqpBroker::connect(config(&url)).await.err();
    assert!(matches!(error, Some(BrokerError::Disconnected(_))), "{error:?}");

    // Who goes on trying says so, and when it is published to, too.
    let mut patient = config(&url);
    patient.operation_timeout = Duration::from_millis(200);
    let broker = AmqpBroker::start(patient);
    let mut state = broker.state();
    let down = state.wait_for(|state| matches!(state, BrokerState::Down { attempt, .. } if *attempt >= 2));
    let down = soon("the third attempt", down).await.unwrap().clone();
    assert!(!format!("{down:?}").contains("s3cret"));
    let publisher = broker.publisher().await.unwrap();
    let error = publisher.publish(submit("x")).await.err();
    assert!(matches!(error, Some(PublishError::Disconnected(_))), "{error:?}");
    let error = broker.queue_depth("x").await.err();
    assert!(matches!(error, Some(BrokerError::Disconnected(_))), "{error:?}");
    broker.close().await;
    assert_eq!(*broker.state().borrow(), BrokerState::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_times_out_and_leaves_no_thread_behind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Takes connections and keeps them, but says nothing.
    let silence = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            kept.push(socket);
        }
    });
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.starts_with("lapin-io-loop")).count()
    };
    let mut impatient = config(&format!("amqp://hub:x@{address}/"));
    impatient.connect_timeout = Duration::from_millis(50);
    let broker = AmqpBroker::start(impatient.clone());
    let mut state = broker.state();
    let tried = state.wait_for(|state| matches!(state, BrokerState::Down { attempt, .. } if *attempt >= 10));
    assert!(soon("ten attempts", tried).await.is_ok());
    broker.close().await;
    let error = AmqpBroker::connect(impatient).await.err();
    assert!(matches!(error, Some(BrokerError::TimedOut { .. })), "{error:?}");
    // Other tests of this process have connections too, but not that many threads more than before.
    until("the threads of the attempts are gone", async || threads() < 10).await;
    silence.abort();
}

#[tokio::test]
async fn amqps_is_really_encrypted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let first = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 3];
        socket.read_exact(&mut bytes).await.unwrap();
        bytes
    });
    let mut secure = config(&format!("amqps://hub:x@{address}/"));
    secure.connect_timeout = Duration::from_secs(5);
    let connecting = AmqpBroker::connect(secure);
    let bytes = soon("the first bytes", first);
    let (error, bytes) = tokio::join!(connecting, bytes);
    assert!(error.is_err());
    // A TLS handshake record; in clear it would be the `A` of AMQP.
    assert_eq!(bytes.unwrap()[..2], [0x16, 0x03]);
}

#[tokio::test]
async fn quorum_queues_work_too() {
    let vhost = fresh_vhost().await;
    let hub = connect(&calm_node().await.node.admin_amqp_url(&vhost)).await;
    let topology = Topology::hub(QueueType::Quorum, [system_a()]);
    hub.declare(&topology).await.unwrap();
    hub.declare(&topology).await.unwrap();
    let publisher = hub.publisher().await.unwrap();
    let confirming = publisher.publish(submit("q")).await.unwrap();
    let _ = soon("the confirm", confirming).await.unwrap();
    let mut consumer = hub.consume("truc.submit.document", 1, "q").await.unwrap();
    let delivery = soon("the message", consumer.next()).await.unwrap();
    delivery.dead_letter().await.unwrap();
    let mut dead = hub.consume("truc.dead.letters", 1, "q").await.unwrap();
    let delivery = soon("the dead letter", dead.next()).await.unwrap();
    assert_eq!(
        delivery.properties.text("x-first-death-queue"),
        Some("truc.submit.document")
    );
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn accounts_are_made_listed_changed_and_removed() {
    let node = &calm_node().await.node;
    let vhost = fresh_vhost().await;
    let world = World::on(node, &vhost).await;
    let accounts = node.accounts(&vhost);
    let systems = |list: Vec<truc_transport::Account>| -> Vec<_> {
        list.into_iter().filter_map(|account| account.system).collect()
    };
    assert_eq!(systems(accounts.list().await.unwrap()), [system_b(), system_a()]);
    let overview = accounts.overview().await.unwrap();
    assert_eq!(overview.version, node.version().await.unwrap());
    assert!(overview.alarms.is_empty());

    // A user of its own, as the users of the other tests are shared by all virtual hosts.
    let system = truc_model::SystemId::new(&format!("doi-khoa-{}", std::process::id())).unwrap();
    let url = |password: &str| node.amqp_url(system.as_str(), password, &vhost);
    accounts.ensure_system(&system, "old/ pass:word").await.unwrap();
    connect(&url("old/ pass:word")).await.close().await;
    accounts.rotate_password(&system, "new").await.unwrap();
    let error = AmqpBroker::connect(config(&url("old/ pass:word"))).await.err();
    assert!(matches!(error, Some(BrokerError::Refused { .. })), "{error:?}");
    connect(&url("new")).await.close().await;
    accounts.remove_system(&system).await.unwrap();
    accounts.remove_system(&system).await.unwrap();
    assert!(AmqpBroker::connect(config(&url("new"))).await.is_err());
    let gone = accounts.rotate_password(&system, "x").await.err();
    assert!(
        matches!(
            gone,
            Some(truc_transport::AccountsError::Answer { status: 404, .. })
        ),
        "{gone:?}"
    );
    assert_eq!(ready(&world.hub, "truc.submit.document").await, 0);

    // The administrator's name is no system's: it would lose its rights.
    let admin = truc_model::SystemId::new("truc-admin").unwrap();
    for outcome in [
        accounts.ensure_system(&admin, "x").await,
        accounts.rotate_password(&admin, "x").await,
        accounts.remove_system(&admin).await,
    ] {
        assert!(
            matches!(outcome, Err(truc_transport::AccountsError::NotASystem { .. })),
            "{outcome:?}"
        );
    }
    assert!(accounts.overview().await.is_ok());

    let stranger = truc_transport::Accounts::new(&node.management_url(), "truc-admin", "wrong", &vhost);
    let refused = stranger.list().await.err();
    assert!(
        matches!(refused, Some(truc_transport::AccountsError::Refused { .. })),
        "{refused:?}"
    );
}

/// As `docs/operating/broker.md` says.
#[tokio::test]
async fn the_hubs_user_needs_rights_on_its_own_names_only() {
    let node = &calm_node().await.node;
    let vhost = fresh_vhost().await;
    let own = r"^truc\.";
    for command in [
        vec!["add_user", "truc-hub", "mat-khau"],
        vec!["set_permissions", "--vhost", &vhost, "truc-hub", own, own, own],
    ] {
        node.rabbitmqctl(&command).await.unwrap();
    }
    let hub = connect(&node.amqp_url("truc-hub", "mat-khau", &vhost)).await;
    hub.declare(&crate::world::topology()).await.unwrap();
    keep(&hub, deliver(&system_a(), "m")).await;
    keep(&hub, submit("m")).await;
    let mut consumer = hub.consume("truc.submit.document", 1, "hub").await.unwrap();
    let delivery = soon("the message", consumer.next()).await.unwrap();
    delivery.dead_letter().await.unwrap();
    until("it is among the dead letters", async || {
        ready(&hub, "truc.dead.letters").await == 1
    })
    .await;
    hub.close().await;
}

#[tokio::test]
async fn many_tasks_may_publish_at_once() {
    let world = Arc::new(World::amqp().await);
    let publisher = world.a.publisher().await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let publisher = Arc::clone(&publisher);
            tokio::spawn(async move {
                let mut under_way = Vec::new();
                for number in 0..100 {
                    under_way.push(
                        publisher
                            .publish(submit(&format!("{task}-{number}")))
                            .await
                            .unwrap(),
                    );
                }
                for confirming in under_way {
                    let _ = confirming.await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        soon("a task", task).await.unwrap();
    }
    // Those of one task lie in the order of its calls.
    let mut consumer = world
        .hub
        .consume("truc.submit.document", 800, "hub")
        .await
        .unwrap();
    let mut next = [0; 8];
    for _ in 0..800 {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        let text = crate::world::name(&delivery.body);
        let (task, number) = text.split_once('-').unwrap();
        let (task, number): (usize, usize) = (task.parse().unwrap(), number.parse().unwrap());
        assert_eq!(next[task], number);
        next[task] += 1;
        delivery.ack().await.unwrap();
    }
}
