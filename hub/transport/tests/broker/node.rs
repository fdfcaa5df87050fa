//! smoke
use truc_transport::private_node::{PrivateNode, PrivateNodeConfig};
use truc_transport::*;
use std::sync::Arc;

#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let begun = std::time::Instant::now();
    let mut node = PrivateNode::start(PrivateNodeConfig::new(dir.path())).await.unwrap();
    println!("started in {:?} {}", begun.elapsed(), node.version().await.unwrap());
    let broker = AmqpBroker::connect(BrokerConfig::new(node.admin_amqp_url("/").parse().unwrap(), "smoke")).await.unwrap();
    let system = truc_model::SystemId::new("so-tnmt").unwrap();
    broker.declare(&Topology::hub(QueueType::Classic, [system.clone()])).await.unwrap();
    node.accounts("/").ensure_system(&system, "x").await.unwrap();
    println!("{:?}", node.accounts("/").list().await.unwrap());
    println!("{:?}", node.accounts("/").overview().await.unwrap());
    let publisher = broker.publisher().await.unwrap();
    let t = std::time::Instant::now();
    let mut waiting = Vec::new();
    for n in 0..5000 {
        let message = OutMessage { exchange: "truc.deliver".into(), routing_key: if n % 10 == 0 {"nobody".into()} else {"so-tnmt".into()}, properties: Properties { message_id: Some(n.to_string()), ..Default::default() }, body: Arc::from(vec![7; 2000]) };
        waiting.push((n, publisher.publish(message).await.unwrap()));
    }
    let mut wrong = 0;
    for (n, w) in waiting { let r = w.await; if r.is_ok() == (n % 10 == 0) { wrong += 1; } }
    println!("published in {:?}, wrong {wrong}", t.elapsed());
    let mut consumer = broker.consume("truc.inbox.so-tnmt", 10, "t").await.unwrap();
    let t = std::time::Instant::now();
    for _ in 0..4500 { consumer.next().await.unwrap().ack().await.unwrap(); }
    println!("consumed in {:?}", t.elapsed());
    println!("{:?}", broker.queue_depth("truc.inbox.so-tnmt").await);
    let t = std::time::Instant::now();
    node.set_memory_alarm(true).await.unwrap();
    println!("alarm {:?} {:?}", t.elapsed(), node.accounts("/").overview().await.unwrap());
    node.set_memory_alarm(false).await.unwrap();
    let t = std::time::Instant::now();
    node.stop().await.unwrap();
    println!("stopped {:?}", t.elapsed());
    let t = std::time::Instant::now();
    node.start_again().await.unwrap();
    println!("again {:?}", t.elapsed());
    broker.close().await;
    drop(node);
}
