//! Messages that no honest client sends: raw AMQP with property and header bytes of our choosing.
//!
//! Every connected system may publish to the intake. Whatever it puts there must neither end the hub's
//! connection nor the hub: RabbitMQ passes properties on unread, and hands the message out again each
//! time the consumer's connection dies of it.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{World, calm_node, fresh_vhost, name, soon, submit, system_a};

const QUEUE: &str = "truc.submit.document";

/// Flag bits of AMQP properties.
const HEADERS: u16 = 1 << 13;
const MESSAGE_ID: u16 = 1 << 7;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn property_bytes_that_are_not_text_do_not_end_the_connection() {
    survives(&[
        (
            "message_id",
            true,
            properties(MESSAGE_ID, &short(b"\xff\xfe\x00x")),
        ),
        (
            "header name",
            true,
            properties(HEADERS, &table(&entry(b"a\xc3(b", b"S", &long(b"v")))),
        ),
        // A value is bytes; it is read as well as it can be.
        (
            "header value",
            false,
            properties(HEADERS, &table(&entry(b"name", b"S", &long(b"\xff\xff")))),
        ),
        ("too deep", true, properties(HEADERS, &table(&nested(9)))),
        ("deep", false, properties(HEADERS, &table(&nested(8)))),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_any_depth_do_not_end_the_process() {
    let tables = nested(DEPTH);
    let mut lists = long(b"");
    for _ in 0..DEPTH {
        let mut item = b"A".to_vec();
        item.extend(&lists);
        lists = long(&item);
    }
    survives(&[
        ("tables", true, properties(HEADERS, &long(&tables))),
        (
            "lists",
            true,
            properties(HEADERS, &table(&entry(b"name", b"A", &lists))),
        ),
    ])
    .await;
}

/// As deep as fits into one frame of 128 KiB, the largest that RabbitMQ takes.
const DEPTH: usize = 18_000;

/// Publishes each message raw, then an honest one, and sees the honest one arrive on a connection that
/// was never lost.
async fn survives(messages: &[(&str, bool, Vec<u8>)]) {
    let node = &calm_node().await.node;
    let vhost = fresh_vhost().await;
    let world = World::on(node, &vhost).await;
    let mut consumer = world.hub.consume(QUEUE, 10, "hub").await.unwrap();
    let state = world.hub.state();
    for (what, unreadable, properties) in messages {
        let mut raw = Raw::connect(node.amqp_port(), system_a().as_str(), "mat-khau", &vhost).await;
        raw.publish("truc.submit", "document", properties, what.as_bytes())
            .await;
        let delivery = soon(what, consumer.next()).await.unwrap();
        assert_eq!(name(&delivery.body), *what);
        // A message handed out again would mean that the first time had ended the connection.
        assert!(!delivery.redelivered, "{what}");
        assert_eq!(delivery.properties.is_unreadable(), *unreadable, "{what}");
        delivery.ack().await.unwrap();
        let publisher = world.a.publisher().await.unwrap();
        let confirming = publisher.publish(submit("honest")).await.unwrap();
        let _ = soon("the confirm", confirming).await.unwrap();
        let delivery = soon("the honest one", consumer.next()).await.unwrap();
        assert_eq!(
            (name(&delivery.body).as_str(), delivery.redelivered),
            ("honest", false)
        );
        delivery.ack().await.unwrap();
    }
    assert!(state.borrow().is_up());
}

/// Just enough of an AMQP client.
struct Raw(TcpStream);

impl Raw {
    async fn connect(port: u16, user: &str, password: &str, vhost: &str) -> Self {
        let mut raw = Self(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        raw.0.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
        raw.read(10, 10).await;
        let mut start_ok = long(b"");
        start_ok.extend(short(b"PLAIN"));
        start_ok.extend(long(format!("\0{user}\0{password}").as_bytes()));
        start_ok.extend(short(b"en_US"));
        raw.method(0, 10, 11, &start_ok).await;
        let tune = raw.read(10, 30).await;
        raw.method(0, 10, 31, &tune).await;
        let mut open = short(vhost.as_bytes());
        open.extend([0, 0]);
        raw.method(0, 10, 40, &open).await;
        raw.read(10, 41).await;
        raw.method(1, 20, 10, &short(b"")).await;
        raw.read(20, 11).await;
        raw
    }

    async fn publish(&mut self, exchange: &str, key: &str, properties: &[u8], body: &[u8]) {
        let mut publish = vec![0, 0];
        publish.extend(short(exchange.as_bytes()));
        publish.extend(short(key.as_bytes()));
        publish.push(0);
        self.method(1, 60, 40, &publish).await;
        let mut header = vec![0, 60, 0, 0];
        header.extend((body.len() as u64).to_be_bytes());
        header.extend(properties);
        self.frame(2, 1, &header).await;
        self.frame(3, 1, body).await;
    }

    async fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        let mut payload = class.to_be_bytes().to_vec();
        payload.extend(method.to_be_bytes());
        payload.extend(arguments);
        self.frame(1, channel, &payload).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend(long(payload));
        frame.push(0xce);
        self.0.write_all(&frame).await.unwrap();
    }

    /// Reads one method and gives its arguments.
    async fn read(&mut self, class: u16, method: u16) -> Vec<u8> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head).await.unwrap();
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let mut payload = vec![0; size + 1];
        self.0.read_exact(&mut payload).await.unwrap();
        let [a, b] = class.to_be_bytes();
        let [c, d] = method.to_be_bytes();
        assert_eq!(payload[..4], [a, b, c, d]);
        payload[4..size].to_vec()
    }
}

fn properties(flags: u16, bytes: &[u8]) -> Vec<u8> {
    let mut properties = flags.to_be_bytes().to_vec();
    properties.extend(bytes);
    properties
}

/// Tables in tables; the outermost counts.
fn nested(depth: usize) -> Vec<u8> {
    let mut entries = Vec::new();
    for _ in 1..depth {
        entries = entry(b"", b"F", &long(&entries));
    }
    entries
}

fn table(entries: &[u8]) -> Vec<u8> {
    long(entries)
}

fn entry(name: &[u8], kind: &[u8; 1], value: &[u8]) -> Vec<u8> {
    let mut entry = short(name);
    entry.extend(kind);
    entry.extend(value);
    entry
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let mut text = vec![u8::try_from(bytes.len()).unwrap()];
    text.extend(bytes);
    text
}

fn long(bytes: &[u8]) -> Vec<u8> {
    let mut text = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    text.extend(bytes);
    text
}
